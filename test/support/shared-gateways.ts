import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GatewayStatus } from "../../gateway/status/gateway-status.ts";
import { statusOf } from "./gateway-books.ts";
import {
  type CliResult,
  type GatewayOptions,
  GatewayProcess,
  runCli,
  runShellCommand,
} from "./gateway-process.ts";
import { type FleetOptions, RunningFleet } from "./running-fleet.ts";
import { longestWaitMs } from "./until.ts";

/** Batches and leases short enough for a test. */
const fastSettings = {
  TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300",
  TIDEGATE_LEASES_LEASE_MS: "2000",
  TIDEGATE_SHUTDOWN_TIMEOUT_MS: "6000",
};

const mendPattern = /`(tidegate stream new --[^`]*)`/;

/**
 * Gateways that share a stream, a window and a lake, with fleets that publish to them, judged by the audit.
 */
export class SharedGateways {
  readonly folder: string;
  readonly lake: string;
  readonly all: GatewayProcess[] = [];
  readonly #outputs: string[] = [];
  readonly #fleets: RunningFleet[] = [];

  private constructor(lake: string | undefined) {
    this.folder = mkdtempSync(join(tmpdir(), "tidegate-shared-"));
    this.lake = lake ?? `file:${join(this.folder, "lake")}`;
  }

  /** @param flags Flags of the gateways besides `--lake`: one list for all, or one for each. */
  static async start(
    count: number,
    flags: readonly string[] | readonly (readonly string[])[],
    { lake, ...options }: Omit<GatewayOptions, "flags" | "dataFolder"> & { readonly lake?: string } = {},
  ): Promise<SharedGateways> {
    const shared = new SharedGateways(lake);
    try {
      const started = await Promise.all(
        Array.from({ length: count }, (_, index) => {
          const own = flags.flatMap((flag) => (typeof flag === "string" ? [flag] : []));
          const each = flags[index];
          const given = typeof each === "object" ? each : own;
          return GatewayProcess.start({
            ...options,
            flags: [...given, "--lake", shared.lake],
            environment: { ...fastSettings, ...options.environment },
          });
        }),
      );
      shared.all.push(...started);
      if (options.waitUntilReady !== false) for (const gateway of started) await gateway.waitUntilAllRun();
      return shared;
    } catch (error) {
      await shared.destroy();
      throw error;
    }
  }

  at(index: number): GatewayProcess {
    const gateway = this.all[index];
    if (!gateway) throw new RangeError(`there is no gateway ${index}`);
    return gateway;
  }

  statuses(): Promise<GatewayStatus[]> {
    return Promise.all(this.all.map(statusOf));
  }

  /** Messages that the running brokers have acknowledged since their start. */
  async acknowledged(): Promise<number> {
    const statuses = await this.statuses();
    return statuses.reduce((sum, { broker }) => sum + (broker?.acknowledged ?? 0), 0);
  }

  /** Resolves once so many more messages are acknowledged. */
  async untilAcknowledged(more: number): Promise<void> {
    const before = await this.acknowledged();
    await this.at(0).until(`${more} more are acknowledged`, async () => {
      return (await this.acknowledged()) >= before + more;
    });
  }

  fleet({ mqttUrls = this.all.map(({ mqttUrl }) => mqttUrl), ...options }: FleetOptions): RunningFleet {
    const ledger = join(this.folder, `ledger-${this.#fleets.length}`);
    const fleet = new RunningFleet(ledger, mqttUrls, options);
    this.#fleets.push(fleet);
    void fleet.ended.then(({ stdout, stderr }) => this.#outputs.push(stdout, stderr));
    return fleet;
  }

  /**
   * The report of `tidegate audit --json` for a fleet's ledger.
   * @param waitS Seconds to wait for unfiled messages. Default: the longest wait of tests. Ends at once if no
   * message is missing.
   */
  async audit(ledger: string, waitS = longestWaitMs / 1000): Promise<AuditSummary> {
    const args = [
      "--ledger",
      ledger,
      "--lake",
      this.lake,
      "--wait",
      String(waitS),
      "--settle",
      "1",
      "--json",
    ];
    const result = await runCli(["audit", ...args]);
    this.#outputs.push(result.stdout, result.stderr);
    if (result.json === null) throw new Error(`the audit gave no verdict: ${result.stderr}`);
    const summary = result.json as AuditSummary;
    if (!("examples" in summary)) throw new Error(`the audit failed: ${result.stdout} ${result.stderr}`);
    const { misplaced, misstated, disordered, mistimed, logFaults, examples } = summary;
    // After any faults of gateways and servers, filed rows must be in order, at the places where queries
    // search them, and as the logs describe them.
    assert.deepEqual(
      { misplaced, misstated, disordered, mistimed, logFaults },
      wellFiled,
      examples.join("\n"),
    );
    return summary;
  }

  /** The status of one gateway, as text. */
  async statusText(index: number): Promise<string> {
    const { stdout, stderr } = await runCli(["status", "--data", this.at(index).dataFolder]);
    this.#outputs.push(stdout, stderr);
    return stdout;
  }

  /** The output of all gateways, fleets, audits and commands. */
  get output(): string {
    return [...this.all.map(({ output }) => output), ...this.#outputs].join("\n");
  }

  /**
   * Resolves once all gateways report a loss of the stream, with the command of the status, word for word.
   */
  async mendCommand(): Promise<string> {
    for (const [index, gateway] of this.all.entries())
      await gateway.until("the status reports a loss of the stream", async () => {
        const readiness = await (await fetch(`${gateway.httpUrl}/readyz`)).text();
        return /STREAM_GAP/.test(readiness) && mendPattern.test(await this.statusText(index));
      });
    return mendPattern.exec(await this.statusText(0))?.[1] ?? "";
  }

  /** Follows the status: stops the gateways, runs the command, starts them again. */
  async follow(command: string): Promise<void> {
    await this.stop();
    const { code, stderr } = await this.runShown(command);
    if (code !== 0) throw new Error(`${command} has failed: ${stderr}`);
    await this.startAgain();
  }

  /** Runs a command from a text in a shell. */
  async runShown(command: string): Promise<CliResult> {
    const result = await runShellCommand(command);
    this.#outputs.push(result.stdout, result.stderr);
    return result;
  }

  async stop(): Promise<(number | null)[]> {
    return await Promise.all(this.all.map((gateway) => gateway.stop()));
  }

  async startAgain(): Promise<void> {
    await Promise.all(this.all.map((gateway) => gateway.start()));
  }

  async destroy(): Promise<void> {
    for (const fleet of this.#fleets) fleet.kill();
    await Promise.all(this.#fleets.map(({ ended }) => ended));
    await Promise.all(this.all.map((gateway) => gateway.destroy()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const wellFiled = { misplaced: 0, misstated: 0, disordered: 0, mistimed: 0, logFaults: 0 };

export interface AuditSummary {
  readonly acked: number;
  readonly stored: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly phantom: number;
  readonly altered: number;
  readonly misplaced: number;
  readonly misstated: number;
  readonly disordered: number;
  readonly mistimed: number;
  readonly unordered: number;
  readonly logFaults: number;
  readonly examples: readonly string[];
}
