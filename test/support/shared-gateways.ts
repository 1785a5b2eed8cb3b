import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GatewayStatus } from "../../gateway/supervisor/gateway-status.ts";
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

/** Gateways that share a stream, a window and a lake, with fleets that publish to them and the audit as judge. */
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

  /** @param flags Of every gateway, beside `--lake`; one list for all or one for each. */
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

  /** Messages that the brokers that run now have acknowledged since they were started. */
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
   * What `tidegate audit --json` says of a fleet's ledger.
   * @param waitS For messages that are not filed yet. Default: as long as tests wait for anything; where none are missing it ends at once.
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
    const { misplaced, misstated, disordered, mistimed, logFaults, examples } = summary;
    // Whatever a test does to gateways and servers, what is filed is where queries find it, in order, and as logs say.
    assert.deepEqual(
      { misplaced, misstated, disordered, mistimed, logFaults },
      wellFiled,
      examples.join("\n"),
    );
    return summary;
  }

  /** What a person sees of one gateway. */
  async statusText(index: number): Promise<string> {
    const { stdout, stderr } = await runCli(["status", "--data", this.at(index).dataFolder]);
    this.#outputs.push(stdout, stderr);
    return stdout;
  }

  /** Everything that gateways, fleets, audits and commands have printed. */
  get output(): string {
    return [...this.all.map(({ output }) => output), ...this.#outputs].join("\n");
  }

  /** Resolves, once all gateways say that the stream has lost something, with the command that the status names, word for word. */
  async mendCommand(): Promise<string> {
    for (const [index, gateway] of this.all.entries())
      await gateway.until("it says that the stream has lost something", async () => {
        const readiness = await (await fetch(`${gateway.httpUrl}/readyz`)).text();
        return /STREAM_GAP/.test(readiness) && mendPattern.test(await this.statusText(index));
      });
    return mendPattern.exec(await this.statusText(0))?.[1] ?? "";
  }

  /** As the status says: stop the gateways, run the command, start them again. */
  async follow(command: string): Promise<void> {
    await this.stop();
    const { code, stderr } = await this.runShown(command);
    if (code !== 0) throw new Error(`${command} has failed: ${stderr}`);
    await this.startAgain();
  }

  /** Runs a command as it stands in a text, in a shell. */
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

/** Bytes of memory that a process has resident. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1024;
}
