import assert from "node:assert/strict";
import { join } from "node:path";
import { programArguments } from "./programs.ts";
import { type ProgramResult, type StartedProgram, startProgram } from "./run-program.ts";

const root = join(import.meta.dirname, "..", "..");
/** Ends a fleet that its test did not end. */
const longestS = 600;

export interface FleetOptions {
  /** Messages a second, of all devices. */
  readonly rate: number;
  /**
   * Default: publishes until `finish`, so that other work of the test may take any time on a slow machine.
   */
  readonly durationS?: number;
  readonly connections?: number;
  /** Default: all gateways, in turns. */
  readonly mqttUrls?: readonly string[];
  /** Seconds to wait, after the last message was due, for acknowledgements. */
  readonly drainS?: number;
  readonly payloadBytes?: number;
}

/** `simulate` at work, in a process of its own. */
export class RunningFleet {
  readonly ledger: string;
  readonly #program: StartedProgram;
  #isFinishing = false;

  constructor(
    ledger: string,
    mqttUrls: readonly string[],
    {
      rate,
      durationS = longestS,
      connections = 20,
      drainS = 90,
      payloadBytes,
    }: Omit<FleetOptions, "mqttUrls">,
  ) {
    this.ledger = ledger;
    const load = ["--devices", "400", "--connections", String(connections), "--rate", String(rate)];
    const time = ["--duration", String(durationS), "--drain", String(drainS), "--ack-timeout", "20"];
    const size = payloadBytes === undefined ? [] : ["--payload-bytes", String(payloadBytes)];
    const places = ["--ledger", ledger, "--mqtt", mqttUrls.join(",")];
    const args = ["simulate", ...load, ...time, ...size, ...places, "--json"];
    const program = [...programArguments("simulator/main.ts"), ...args];
    this.#program = startProgram(process.execPath, program, { cwd: root, environment: {} });
  }

  /** Its exit, by itself or by `finish`. */
  get ended(): Promise<ProgramResult> {
    return this.#program.ended;
  }

  /**
   * Ends publishing. Resolves with the number of published messages once all are acknowledged; rejects if
   * one was given up.
   */
  async finish(): Promise<number> {
    // A second signal would make it exit at once.
    if (!this.#isFinishing) this.#program.child.kill("SIGINT");
    this.#isFinishing = true;
    const { acked, gaveUp, sent } = await this.summary();
    assert.deepEqual({ acked, gaveUp }, { acked: sent, gaveUp: 0 });
    return acked;
  }

  /** The figures of its report. */
  async summary(): Promise<FleetSummary> {
    const { stdout, stderr } = await this.ended;
    const last = stdout.trimEnd().split("\n").at(-1) ?? "";
    try {
      return JSON.parse(last) as FleetSummary;
    } catch {
      throw new Error(`the fleet gave no report: ${stderr}`);
    }
  }

  kill(): void {
    this.#program.child.kill("SIGKILL");
  }
}

export interface FleetSummary {
  readonly planned: number;
  readonly sent: number;
  readonly unsent: number;
  readonly acked: number;
  readonly gaveUp: number;
  readonly reconnects: number;
}
