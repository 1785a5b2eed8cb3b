import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SimulatorError } from "../errors.ts";
import { fleetArguments } from "./fleet-arguments.ts";
import type { HostileVerdict } from "./hostile/hostile-book.ts";
import { hostileRows } from "./hostile/hostile-rows.ts";
import { maintenanceOf } from "./maintenance.ts";
import { proofSettings, windowBytes } from "./proof-settings.ts";
import { busyTables, provedTables, specificTopics } from "./proof-topics.ts";
import { type ProveResult, proveResult } from "./prove-result.ts";
import { SimulatorProcess, type SimulatorResult } from "./simulator-process.ts";
import type { ServerKinds, Strike } from "./strike.ts";
import { type DealtStrike, Striker } from "./striker.ts";
import { StrikeEvidence } from "./strikes/strike-evidence.ts";
import { planStrikes, type StrikePlan } from "./strikes/strike-plan.ts";
import { SystemUnderTest } from "./system-under-test.ts";
import { crashesIn } from "./under-test/ended-processes.ts";
import type { GatewayUnderTest, StatusView } from "./under-test/gateway-under-test.ts";
import { lakeQuery } from "./under-test/lake-query.ts";

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
  /** True: each gateway keeps the dedupe window in its own memory. */
  readonly hasWindowInMemory: boolean;
  /** How long a strike stops the consumers to make a backlog. */
  readonly backlogMs: number;
  /** File for the result as JSON; undefined = one in the temporary folder. */
  readonly outFile: string | undefined;
  readonly onProgress: (done: number, total: number, strike: Strike | null) => void;
  /** Told of each strike after it was dealt. */
  readonly onStrike: (strike: DealtStrike) => void;
}

const settleMs = 2_000;
/** From the first strike: in this time the fleet does three of its rarest deeds, see `requiredDeeds`. */
const deedsMs = 6_000;
/**
 * The audit ends as soon as all messages are filed: only a loss takes the whole time. Windows are seeded
 * again after every kill and split.
 */
const auditWaitS = 600;
const drainMs = 90_000;
/** Where nothing more is acknowledged, or filed. */
const stoppedDrainMs = 3_000;
const stoppedAuditWaitS = 15;
/** After this time messages that the fleet published later than the hostile ones are filed. */
const hostileWaitMs = 120_000;
const roundSecondsMax = 120;
/** After each, everything that the proof has started is ended at once. */
const endSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Starts gateways in a temporary folder and a fleet that publishes to them, and strikes every process and
 * server in an order that the seed decides. Then the audit compares the ledger of the fleet with the tables.
 */
export async function prove(options: ProveOptions): Promise<ProveResult> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-prove-"));
  const { plan, rate } = options;
  const settings = proofSettings(rate);
  const gateways = plan.gateways;
  const system = await SystemUnderTest.create({
    ...options,
    folder,
    gateways,
    settings,
    specificTopics,
    tables: provedTables,
    busyTables,
  });
  const proof = new Proof(options, { folder, system });
  const file = options.outFile ?? `${folder}.json`;
  let isEnding = false;
  const end = () => {
    // A terminal signals this process and the gateway's command, which hands the signal on.
    if (!isEnding) void proof.close().finally(() => process.exit(1));
    isEnding = true;
  };
  for (const signal of endSignals) process.on(signal, end);
  try {
    const result = { ...(await proof.run()), file };
    if (result.faults.length > 0) await system.keep(folder);
    else await rm(folder, { recursive: true, force: true });
    const kept = result.faults.length > 0 ? result : { ...result, folder: null };
    await writeFile(file, `${JSON.stringify(kept, null, 2)}\n`);
    return kept;
  } finally {
    for (const signal of endSignals) process.off(signal, end);
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
    const { plan, rounds, seed, rate, hasWindowInMemory, onProgress } = this.#options;
    await this.#system.start();
    this.#fleet = this.#startFleet();
    const strikes = planStrikes(plan, rounds, seed);
    const failure = await this.#strikeAll(strikes, this.#fleet).catch(gatewayFailure);
    await this.#system.setClocksRight();
    onProgress(strikes.length, strikes.length, null);
    const fleet = await this.#fleet.finish(failure ? stoppedDrainMs : drainMs);
    const hasStopped = failure !== null || hasHalt(await this.#system.statuses());
    const audit = await this.#runAudit(hasStopped ? stoppedAuditWaitS : auditWaitS);
    const hostile = await this.#hostileVerdict(hasStopped ? 0 : hostileWaitMs);
    const statuses = await this.#system.statuses();
    this.#observe(statuses);
    const exitCodes = await this.#system.stop();
    const logFiles = this.#system.gateways.map(({ logFile }) => logFile);
    const maintenance = await maintenanceOf({ lake: this.#system.lake, tables: provedTables, logFiles });
    const logs = await Promise.all(logFiles.map((file) => readFile(file, "utf8")));
    const crashes = logs.flatMap(crashesIn);
    const durationMs = Date.now() - startedAtMs;
    const window = { maxBytes: hasWindowInMemory ? windowBytes(rate) : null };
    const end = {
      fleet,
      audit,
      statuses,
      exitCodes,
      maintenance,
      crashes,
      hostile,
      window,
      failure,
      durationMs,
    };
    return proveResult({ seed, rounds, folder: this.#folder, strikes: this.#dealt }, this.#evidence, end);
  }

  /** Resolves with why the strikes ended early; null = they did not. */
  async #strikeAll(strikes: readonly Strike[], fleet: SimulatorProcess): Promise<string | null> {
    const striker = new Striker(this.#system, this.#evidence, (dealt) => {
      this.#dealt.push(dealt);
      this.#options.onStrike(dealt);
    });
    let deedsAtMs = 0;
    for (const [index, strike] of strikes.entries()) {
      this.#options.onProgress(index, strikes.length, strike);
      await striker.strike(strike);
      // The first one met a fleet that publishes.
      if (index === 0) deedsAtMs = performance.now() + deedsMs;
      if (fleet.hasEnded) return `the fleet ended too early: see fleet.log in ${this.#folder}`;
    }
    await this.#system.ready();
    await delay(Math.max(settleMs, deedsAtMs - performance.now()));
    return null;
  }

  async close(): Promise<void> {
    this.#fleet?.kill();
    this.#audit?.kill();
    await this.#system.close();
  }

  #startFleet(): SimulatorProcess {
    const { program, rate, seed, rounds } = this.#options;
    const { mqttUrls, gateways } = this.#system;
    const { url, tokenFile } = (gateways[0] as GatewayUnderTest).api;
    const args = fleetArguments({
      rate,
      seed,
      duration: roundSecondsMax * (rounds + 1),
      ledger: join(this.#folder, "ledger"),
      mqtt: mqttUrls.join(","),
      api: url,
      "token-file": tokenFile,
    });
    return new SimulatorProcess(program, ["simulate", ...args], { logFile: join(this.#folder, "fleet.log") });
  }

  #observe(statuses: readonly (StatusView | null)[]): void {
    for (const [index, status] of statuses.entries())
      this.#evidence.observed(status, this.#system.gateways[index]?.processOf("consumer")?.pid);
  }

  async #hostileVerdict(waitMs: number): Promise<HostileVerdict> {
    const { hostileBook: book, lake, lakeUrl, environment } = this.#system;
    const dataFolder = join(this.#folder, "query");
    const query = lakeQuery({ program: this.#options.program, lakeUrl, environment, dataFolder });
    return book.verdict(book.isEmpty ? new Map() : await hostileRows(book, { lake, query, waitMs }));
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
  return statuses.some((status) => status?.consumer?.partitions.some(({ state }) => state === "stopped"));
}

/** The gateway did not recover, or refused an administrator. */
const gatewayFailures: ReadonlySet<string> = new Set(["PROVE_GATEWAY_FAILED", "SIMULATE_API"]);

/** A gateway that does not recover ends the strikes, and the audit says what it cost. */
function gatewayFailure(error: unknown): string {
  if (error instanceof SimulatorError && gatewayFailures.has(error.code)) return error.message;
  throw error;
}
