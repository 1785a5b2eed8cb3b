import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  identifyProcess,
  isSameProcess,
  type ProcessIdentity,
} from "../../../devices/protocol/process-identity.ts";
import { SimulatorError } from "../../errors.ts";
import { TopicApi } from "../../topics/topic-api.ts";
import { type ProcessTarget, processTargets } from "../strike.ts";
import { childProcesses } from "./child-processes.ts";
import type { GatewayClock } from "./gateway-clock.ts";

const pollMs = 50;
const requestTimeoutMs = 1_500;
const changePatienceMs = 60_000;
const readyTimeoutMs = 90_000;
/** A reason that names the command which gives something up. */
const waitsForPerson = /tidegate stream (new|accept-gap)/;
/** A stream that has lost something stays stopped. */
const stoppedTimeoutMs = 10_000;
const reasonsMaxLength = 400;
const stopTimeoutMs = 60_000;

/** The parts of `GET /v1/status` that a proof reads. */
export interface StatusView {
  readonly broker: {
    readonly inFlightMessages: number;
    /** By reason, since the process began. */
    readonly refused?: Readonly<Record<string, number>>;
  } | null;
  readonly consumer: {
    readonly publishesRepaired: number;
    readonly replayedBatches: number;
    readonly partitions: readonly PartitionView[];
    readonly tables?: { readonly parked: readonly ParkedView[] };
    /** null until the consumer has looked at it. */
    readonly window: { readonly isShort: boolean; readonly spanMs: number } | null;
  } | null;
  readonly upkeep: { readonly doing: { readonly work: string } | null } | null;
  readonly books: BooksView | null;
}

/** A table that does not show what is committed. */
export interface ParkedView {
  readonly table: string;
  /** For people: with the command that brings it back. */
  readonly wayOut: string;
}

export interface BooksView {
  /** Acknowledgements without an append. */
  readonly unfounded: number;
  readonly isBalanced: boolean;
}

export interface PartitionView {
  readonly partition: number;
  /** `waiting` continues by itself. */
  readonly state: "running" | "waiting" | "stopped";
  /** Read so far; this and the time of the last block that was read. */
  readonly position: string;
  readonly streamTimeMs: number;
  readonly openBytes: number;
  readonly lagBytes: number | null;
  readonly lagMs: number;
  readonly unaccounted: number;
  readonly halt: { readonly code: string } | null;
  readonly counters: { readonly read: number; readonly duplicates: number; readonly resent: number };
}

export interface GatewayOptions {
  /** The program's main file. */
  readonly program: string;
  readonly folder: string;
  readonly mqttPort: number;
  readonly httpPort: number;
  readonly logFile: string;
  /** Further flags of `tidegate up`. */
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** By which its processes go. */
  readonly clock: GatewayClock;
}

/** A real gateway in processes of its own, that can be struck. */
export class GatewayUnderTest {
  readonly #options: GatewayOptions;
  readonly #supervisors = new Set<number>();
  #supervisor: ChildProcess | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  get clock(): GatewayClock {
    return this.#options.clock;
  }

  get mqttUrl(): string {
    return `mqtt://127.0.0.1:${this.#options.mqttPort}`;
  }

  get mqttPort(): number {
    return this.#options.mqttPort;
  }

  /** Of the HTTP API, and the file with its token. */
  get api(): { readonly url: string; readonly tokenFile: string } {
    const { httpPort, folder } = this.#options;
    return { url: `http://127.0.0.1:${httpPort}`, tokenFile: join(folder, "api-token") };
  }

  get logFile(): string {
    return this.#options.logFile;
  }

  get folder(): string {
    return this.#options.folder;
  }

  /** Starts a supervisor and resolves once it is ready for publishes. Throws PROVE_GATEWAY_FAILED. */
  async start(): Promise<void> {
    const { program, folder, mqttPort, httpPort, logFile, flags, environment, clock } = this.#options;
    const log = openSync(logFile, "a");
    const addresses = ["--mqtt", `127.0.0.1:${mqttPort}`, "--http", `127.0.0.1:${httpPort}`];
    this.#supervisor = spawn(
      process.execPath,
      [...process.execArgv, ...clock.execArgv, program, "up", "--data", folder, ...addresses, ...flags],
      { stdio: ["ignore", log, log], env: { ...process.env, ...environment, ...clock.environment } },
    );
    if (this.#supervisor.pid !== undefined) this.#supervisors.add(this.#supervisor.pid);
    await this.ready();
  }

  /**
   * Resolves once publishes are accepted again. Throws PROVE_GATEWAY_FAILED if that takes too long or needs a
   * person.
   */
  async ready(): Promise<void> {
    const deadlineMs = performance.now() + readyTimeoutMs;
    let stoppedAtMs: number | null = null;
    let reasons = "";
    while (performance.now() < Math.min(deadlineMs, (stoppedAtMs ?? deadlineMs) + stoppedTimeoutMs)) {
      if (this.#supervisor?.exitCode !== null) break;
      const answer = await this.#get("/readyz").catch(() => null);
      if (answer?.ok) return;
      reasons = (await answer?.text().catch(() => "")) ?? "";
      if (!waitsForPerson.test(reasons)) stoppedAtMs = null;
      else stoppedAtMs ??= performance.now();
      await delay(pollMs);
    }
    const exitCode = this.#supervisor?.exitCode;
    // A gateway that refuses to start says why at the end of its log.
    if (reasons === "" && exitCode !== null)
      reasons = readFileSync(this.#options.logFile, "utf8").trimEnd().split("\n").at(-1) ?? "";
    throw new SimulatorError(
      "PROVE_GATEWAY_FAILED",
      `The gateway under test did not become ready (exit code ${exitCode}): ${reasons.slice(0, reasonsMaxLength)} See ${this.#options.logFile}`,
      { retryable: false },
    );
  }

  /** null if the process does not exist now. */
  processOf(target: ProcessTarget): ProcessIdentity | null {
    if (target === "supervisor") {
      const pid = this.#supervisor?.pid;
      return pid === undefined ? null : identifyProcess(pid);
    }
    const children = childProcesses(this.#options.folder, this.#supervisors);
    const child = children.find(({ role }) => role === target);
    return child && isSameProcess(child) ? child : null;
  }

  /** null if no answer comes in time: a process is down or paused. */
  async status(): Promise<StatusView | null> {
    const answer = await this.#get("/v1/status").catch(() => null);
    return answer?.ok ? ((await answer.json().catch(() => null)) as StatusView | null) : null;
  }

  /** Waits for a killed supervisor's end and starts another one. */
  async replaceSupervisor(absenceMs: number): Promise<void> {
    const old = this.#supervisor;
    if (old && old.exitCode === null && old.signalCode === null) await once(old, "exit");
    await delay(absenceMs);
    await this.start();
  }

  /** Sends SIGTERM. Resolves with the exit code; null if the gateway had to be killed. */
  async stop(): Promise<number | null> {
    const supervisor = this.#supervisor;
    if (!supervisor || supervisor.exitCode !== null) return supervisor?.exitCode ?? null;
    const exited = once(supervisor, "exit");
    supervisor.kill("SIGTERM");
    const inTime = await Promise.race([exited.then(() => true), delay(stopTimeoutMs, false, { ref: false })]);
    if (!inTime) this.kill();
    return supervisor.exitCode;
  }

  /** Ends everything at once; children end with their supervisor. */
  kill(): void {
    for (const target of processTargets.filter((each) => each !== "supervisor")) {
      const child = this.processOf(target);
      if (child) process.kill(child.pid, "SIGKILL");
    }
    this.#supervisor?.kill("SIGKILL");
  }

  /** For an admin; the token is there once the gateway was ready. */
  get topics(): TopicApi {
    const { url, tokenFile } = this.api;
    return new TopicApi({ url, token: readFileSync(tokenFile, "utf8").trim() }, changePatienceMs);
  }

  async #get(path: string): Promise<Response> {
    const { url, tokenFile } = this.api;
    const token = readFileSync(tokenFile, "utf8").trim();
    const headers = { authorization: `Bearer ${token}` };
    return await fetch(url + path, { headers, signal: AbortSignal.timeout(requestTimeoutMs) });
  }
}
