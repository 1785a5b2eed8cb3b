import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GatewayError } from "../errors.ts";
import type { StatusView } from "./gateway-under-test.ts";
import { dedupeWindowMs, fleetFilter, proofTopics } from "./proof-topics.ts";
import { type ProveResult, proveResult } from "./prove-result.ts";
import { SimulatorProcess, type SimulatorResult } from "./simulator-process.ts";
import { StrikeEvidence } from "./strike-evidence.ts";
import { planStrikes, type StrikePlan } from "./strike-plan.ts";
import { type DealtStrike, Striker } from "./striker.ts";
import type { ServerKinds, Strike } from "./strikes.ts";
import { SystemUnderTest } from "./system-under-test.ts";

export interface ProveOptions {
  readonly program: string;
  readonly rounds: number;
  readonly seed: number;
  /** Messages per second of the fleet. */
  readonly rate: number;
  readonly plan: StrikePlan;
  /** See SystemOptions. */
  readonly servers: ServerKinds;
  readonly isRelaxed: boolean;
  readonly flags: readonly string[];
  readonly lakeUrl: string | undefined;
  /** For how long consumers stand still where a strike makes a backlog. */
  readonly backlogMs: number;
  /** File for the result as JSON; undefined = one in the temporary folder. */
  readonly outFile: string | undefined;
  readonly onProgress: (done: number, total: number, strike: Strike | null) => void;
  /** Told of each strike after it was dealt. */
  readonly onStrike: (strike: DealtStrike) => void;
}

const settleMs = 2_000;
/** The audit is over as soon as all is filed: only a loss takes all of this. Windows are seeded anew after every kill and split. */
const auditWaitS = 600;
const drainMs = 90_000;
/** Where nothing more is acknowledged, or filed. */
const stoppedDrainMs = 3_000;
const stoppedAuditWaitS = 15;
const roundSecondsMax = 120;

/** Bytes of memory for each id of a dedupe window, at most. */
const windowBytesPerId = 40;

/** Periods of days in a proof of minutes: logs are pruned, checkpoints replace entries, and the window forgets. */
function periodsOf(rate: number): Readonly<Record<string, string>> {
  const windowBytes = Math.max(1024 ** 2, Math.ceil((rate * windowBytesPerId * dedupeWindowMs) / 1000));
  return {
    TIDEGATE_TABLES_CHECKPOINT_ENTRIES: "20",
    TIDEGATE_TABLES_SNAPSHOT_ENTRIES: "20",
    TIDEGATE_TABLES_COMMIT_RETENTION_MS: "60000",
    TIDEGATE_TABLES_LOG_RETENTION_MS: "60000",
    TIDEGATE_WINDOW_MAX_BYTES: String(windowBytes),
  };
}

/**
 * Starts gateways in a temporary folder and a fleet that publishes to them, strikes their every process and server in an order that
 * the seed decides, and audits afterwards what the fleet's ledger says against what the tables hold.
 */
export async function prove(options: ProveOptions): Promise<ProveResult> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-prove-"));
  const { plan, rate } = options;
  const settings = periodsOf(rate);
  const gateways = plan.gateways;
  const system = await SystemUnderTest.create({
    ...options,
    folder,
    gateways,
    settings,
    topics: proofTopics,
  });
  const proof = new Proof(options, { folder, system });
  const file = options.outFile ?? `${folder}.json`;
  try {
    const result = { ...(await proof.run()), file };
    if (result.faults.length > 0) await system.keep(folder);
    else await rm(folder, { recursive: true, force: true });
    const kept = result.faults.length > 0 ? result : { ...result, folder: null };
    await writeFile(file, `${JSON.stringify(kept, null, 2)}\n`);
    return kept;
  } finally {
    await proof.close();
  }
}

class Proof {
  readonly #options: ProveOptions;
  readonly #folder: string;
  readonly #system: SystemUnderTest;
  readonly #evidence = new StrikeEvidence();
  readonly #dealt: DealtStrike[] = [];
  #fleet: SimulatorProcess | undefined;
  #audit: SimulatorProcess | undefined;

  constructor(options: ProveOptions, setting: { folder: string; system: SystemUnderTest }) {
    this.#options = options;
    this.#folder = setting.folder;
    this.#system = setting.system;
  }

  async run(): Promise<Omit<ProveResult, "file">> {
    const startedAtMs = Date.now();
    const { plan, rounds, seed, onProgress } = this.#options;
    await this.#system.start();
    this.#fleet = this.#startFleet();
    const strikes = planStrikes(plan, rounds, seed);
    const failure = await this.#strikeAll(strikes).catch(gatewayFailure);
    await this.#system.setClocksRight();
    onProgress(strikes.length, strikes.length, null);
    const fleet = await this.#fleet.finish(failure ? stoppedDrainMs : drainMs);
    const hasStopped = failure !== null || hasHalt(await this.#system.statuses());
    const audit = await this.#runAudit(hasStopped ? stoppedAuditWaitS : auditWaitS);
    const statuses = await this.#system.statuses();
    this.#observe(statuses);
    const exitCodes = await this.#system.stop();
    const end = { fleet, audit, statuses, exitCodes, failure, durationMs: Date.now() - startedAtMs };
    return proveResult({ seed, rounds, folder: this.#folder, strikes: this.#dealt }, this.#evidence, end);
  }

  async #strikeAll(strikes: readonly Strike[]): Promise<null> {
    const striker = new Striker(this.#system, this.#evidence, (dealt) => {
      this.#dealt.push(dealt);
      this.#options.onStrike(dealt);
    });
    for (const [index, strike] of strikes.entries()) {
      this.#options.onProgress(index, strikes.length, strike);
      await striker.strike(strike);
    }
    await this.#system.ready();
    await delay(settleMs);
    return null;
  }

  async close(): Promise<void> {
    this.#fleet?.kill();
    this.#audit?.kill();
    await this.#system.close();
  }

  #startFleet(): SimulatorProcess {
    const { program, rate, seed, rounds } = this.#options;
    const fleet = {
      devices: 500,
      connections: 50,
      rate,
      duration: roundSecondsMax * (rounds + 1),
      seed,
      qos: 1,
    };
    const args = Object.entries(fleet).flatMap(([name, value]) => [`--${name}`, String(value)]);
    args.push("--payload-bytes", "100", "--ledger", join(this.#folder, "ledger"));
    args.push("--mqtt", this.#system.mqttUrls.join(","), "--faults", "disconnect,duplicate,poison");
    args.push("--topic", fleetFilter);
    return new SimulatorProcess(program, ["simulate", ...args], { logFile: join(this.#folder, "fleet.log") });
  }

  #observe(statuses: readonly (StatusView | null)[]): void {
    for (const [index, status] of statuses.entries())
      this.#evidence.observed(status, this.#system.gateways[index]?.processOf("consumer")?.pid);
  }

  #runAudit(waitS: number): Promise<SimulatorResult> {
    const ledger = join(this.#folder, "ledger");
    const args = ["audit", "--ledger", ledger, "--lake", this.#system.lakeUrl];
    args.push("--wait", String(waitS));
    const { environment } = this.#system;
    const logFile = join(this.#folder, "audit.log");
    this.#audit = new SimulatorProcess(this.#options.program, args, { logFile, environment });
    return this.#audit.result;
  }
}

/** A partition that stopped files nothing more. */
function hasHalt(statuses: readonly (StatusView | null)[]): boolean {
  return statuses.some((status) => status?.consumer?.partitions.some(({ halt }) => halt));
}

/** A gateway that does not recover ends the strikes, and the audit says what it cost. */
function gatewayFailure(error: unknown): string {
  if (error instanceof GatewayError && error.code === "PROVE_GATEWAY_FAILED") return error.message;
  throw error;
}
