import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isSameProcess } from "../supervisor/process-identity.ts";
import { freePort, GatewayUnderTest, type StatusView } from "./gateway-under-test.ts";
import { nextCommit } from "./next-commit.ts";
import { type ProveResult, proveResult } from "./prove-result.ts";
import { SimulatorProcess, type SimulatorResult } from "./simulator-process.ts";
import { hasWorkInFlight, StrikeEvidence } from "./strike-evidence.ts";
import { planStrikes, type Strike } from "./strikes.ts";

export interface ProveOptions {
  readonly program: string;
  readonly rounds: number;
  readonly seed: number;
  /** Messages per second of the fleet. */
  readonly rate: number;
  /** Flags that `tidegate up` gets as they are: stream, window, lake. */
  readonly flags: readonly string[];
  /** Where the lake is to be; undefined = in the temporary folder. */
  readonly lakeFolder: string | undefined;
  readonly onProgress: (done: number, total: number, strike: Strike | null) => void;
}

/** A batch a few times a second: strikes then fall into commits and publishes, not only between them. */
const batchAgeMs = 250;
const inFlightTimeoutMs = 5_000;
const statusPollMs = 25;
const settleMs = 2_000;
const roundSecondsMax = 60;

/**
 * Starts a gateway in a temporary folder and a fleet that publishes to it, strikes their every process in an order that the seed
 * decides, and audits afterwards what the fleet's ledger says against what the tables hold.
 */
export async function prove(options: ProveOptions): Promise<ProveResult> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-prove-"));
  const proof = new Proof(options, folder, await freePort(), await freePort());
  try {
    const result = await proof.run();
    if (result.faults.length > 0) return result;
    await rm(folder, { recursive: true, force: true });
    return { ...result, folder: null };
  } finally {
    proof.kill();
  }
}

class Proof {
  readonly #options: ProveOptions;
  readonly #folder: string;
  readonly #gateway: GatewayUnderTest;
  readonly #evidence = new StrikeEvidence();
  readonly #lakeFolder: string;
  readonly #mqttPort: number;
  #fleet: SimulatorProcess | undefined;
  #audit: SimulatorProcess | undefined;

  constructor(options: ProveOptions, folder: string, mqttPort: number, httpPort: number) {
    this.#options = options;
    this.#folder = folder;
    this.#lakeFolder = options.lakeFolder ?? join(folder, "data", "lake");
    this.#mqttPort = mqttPort;
    this.#gateway = new GatewayUnderTest({
      program: options.program,
      folder: join(folder, "data"),
      mqttPort,
      httpPort,
      logFile: join(folder, "gateway.log"),
      flags: options.flags,
      environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: String(batchAgeMs) },
    });
  }

  async run(): Promise<ProveResult> {
    const startedAtMs = Date.now();
    const { rounds, seed, onProgress } = this.#options;
    await this.#gateway.start();
    this.#fleet = this.#startFleet();
    const strikes = planStrikes(rounds, seed);
    for (const [index, strike] of strikes.entries()) {
      onProgress(index, strikes.length, strike);
      await this.#strike(strike);
    }
    onProgress(strikes.length, strikes.length, null);
    await this.#gateway.ready();
    await delay(settleMs);
    const fleet = await this.#fleet.finish();
    const audit = await this.#runAudit();
    const status = await this.#observe();
    const exitCode = await this.#gateway.stop();
    const end = { fleet, audit, status, exitCode, durationMs: Date.now() - startedAtMs };
    return proveResult({ seed, rounds, folder: this.#folder }, this.#evidence, end);
  }

  kill(): void {
    this.#fleet?.kill();
    this.#audit?.kill();
    this.#gateway.kill();
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
    args.push("--mqtt", `mqtt://127.0.0.1:${this.#mqttPort}`, "--faults", "disconnect,duplicate,poison");
    return new SimulatorProcess(program, ["simulate", ...args], join(this.#folder, "fleet.log"));
  }

  async #strike(strike: Strike): Promise<void> {
    await this.#gateway.ready();
    await delay(strike.delayMs);
    const before = await this.#awaitWorkInFlight(strike);
    const victim = this.#gateway.processOf(strike.target);
    if (!victim) return;
    if (strike.isAtCommit) await nextCommit(this.#lakeFolder, inFlightTimeoutMs);
    const orphan = strike.orphan && this.#gateway.processOf(strike.orphan);
    if (orphan) process.kill(orphan.pid, "SIGSTOP");
    process.kill(victim.pid, strike.fault === "kill" ? "SIGKILL" : "SIGSTOP");
    this.#evidence.struck(strike.fault, strike.target, before);
    if (strike.fault === "pause") {
      await delay(strike.pauseMs);
      if (isSameProcess(victim)) process.kill(victim.pid, "SIGCONT");
    } else if (strike.target === "supervisor") {
      await this.#gateway.replaceSupervisor(strike.absenceMs);
      // The successor has killed it by now; if not, it goes on, and the audit sees what it does.
      if (orphan && isSameProcess(orphan)) process.kill(orphan.pid, "SIGCONT");
    }
  }

  /** The status just before the strike, with work in flight where that comes about in time. */
  async #awaitWorkInFlight(strike: Strike): Promise<StatusView | null> {
    const deadlineMs = Date.now() + inFlightTimeoutMs;
    let status = await this.#observe();
    while (Date.now() < deadlineMs && !(status && hasWorkInFlight(strike.target, status))) {
      await delay(statusPollMs);
      status = await this.#observe();
    }
    return status;
  }

  async #observe(): Promise<StatusView | null> {
    const status = await this.#gateway.status();
    this.#evidence.observed(status, this.#gateway.processOf("consumer")?.pid);
    return status;
  }

  #runAudit(): Promise<SimulatorResult> {
    const args = [
      "audit",
      "--ledger",
      join(this.#folder, "ledger"),
      "--lake",
      `file:${this.#lakeFolder}`,
      "--wait",
      "120",
    ];
    this.#audit = new SimulatorProcess(this.#options.program, args, join(this.#folder, "audit.log"));
    return this.#audit.result;
  }
}
