import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GatewayError } from "../errors.ts";
import { isSameProcess } from "../supervisor/process-identity.ts";
import type { GatewayUnderTest, StatusView } from "./gateway-under-test.ts";
import { type ProveResult, proveResult } from "./prove-result.ts";
import { SimulatorProcess, type SimulatorResult } from "./simulator-process.ts";
import { hasWorkInFlight, isProcessTarget, StrikeEvidence } from "./strike-evidence.ts";
import {
  type Blow,
  type ProcessTarget,
  planStrikes,
  type ServerKinds,
  type Strike,
  type StrikePlan,
} from "./strikes.ts";
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
  readonly onProgress: (done: number, total: number, strike: Strike | null) => void;
}

const inFlightTimeoutMs = 5_000;
const statusPollMs = 25;
const settleMs = 2_000;
/** The audit is over as soon as all is filed: only a loss takes all of this. Windows are seeded anew after every kill and split. */
const auditWaitS = 600;
const drainMs = 90_000;
/** Where nothing more is acknowledged, or filed. */
const stoppedDrainMs = 3_000;
const stoppedAuditWaitS = 15;
const roundSecondsMax = 60;

/**
 * Starts gateways in a temporary folder and a fleet that publishes to them, strikes their every process and server in an order that
 * the seed decides, and audits afterwards what the fleet's ledger says against what the tables hold.
 */
export async function prove(options: ProveOptions): Promise<ProveResult> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-prove-"));
  const { plan } = options;
  const system = await SystemUnderTest.create({ ...options, folder, gateways: plan.gateways });
  const proof = new Proof(options, { folder, system });
  try {
    const result = await proof.run();
    if (result.faults.length > 0) await system.keep(folder);
    else await rm(folder, { recursive: true, force: true });
    return result.faults.length > 0 ? result : { ...result, folder: null };
  } finally {
    await proof.close();
  }
}

class Proof {
  readonly #options: ProveOptions;
  readonly #folder: string;
  readonly #system: SystemUnderTest;
  readonly #evidence = new StrikeEvidence();
  #fleet: SimulatorProcess | undefined;
  #audit: SimulatorProcess | undefined;

  constructor(options: ProveOptions, setting: { folder: string; system: SystemUnderTest }) {
    this.#options = options;
    this.#folder = setting.folder;
    this.#system = setting.system;
  }

  async run(): Promise<ProveResult> {
    const startedAtMs = Date.now();
    const { plan, rounds, seed, onProgress } = this.#options;
    await this.#system.start();
    this.#fleet = this.#startFleet();
    const strikes = planStrikes(plan, rounds, seed);
    const failure = await this.#strikeAll(strikes).catch(gatewayFailure);
    onProgress(strikes.length, strikes.length, null);
    const fleet = await this.#fleet.finish(failure ? stoppedDrainMs : drainMs);
    const hasStopped = failure !== null || hasHalt(await this.#system.statuses());
    const audit = await this.#runAudit(hasStopped ? stoppedAuditWaitS : auditWaitS);
    const statuses = await this.#system.statuses();
    this.#observe(statuses);
    const exitCodes = await this.#system.stop();
    const end = { fleet, audit, statuses, exitCodes, failure, durationMs: Date.now() - startedAtMs };
    return proveResult({ seed, rounds, folder: this.#folder }, this.#evidence, end);
  }

  async #strikeAll(strikes: readonly Strike[]): Promise<null> {
    for (const [index, strike] of strikes.entries()) {
      this.#options.onProgress(index, strikes.length, strike);
      await this.#strike(strike);
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
    return new SimulatorProcess(program, ["simulate", ...args], { logFile: join(this.#folder, "fleet.log") });
  }

  async #strike(strike: Strike): Promise<void> {
    await this.#system.ready();
    await delay(strike.delayMs);
    const { target } = strike;
    const gateway = this.#system.gateways[strike.gateway] as GatewayUnderTest;
    const before = await this.#awaitWorkInFlight(strike, gateway);
    if (strike.isAtCommit) await this.#system.nextCommit(inFlightTimeoutMs);
    if (!isProcessTarget(target)) {
      const effect = await this.#system.server(target).strike(strike);
      this.#evidence.struck(strike, before, effect);
    } else if (await this.#strikeProcess(strike, target, gateway)) this.#evidence.struck(strike, before);
  }

  /** False where the process is not there now. */
  async #strikeProcess(strike: Strike, target: ProcessTarget, gateway: GatewayUnderTest): Promise<boolean> {
    const victim = gateway.processOf(target);
    if (!victim) return false;
    const orphan = strike.orphan && gateway.processOf(strike.orphan);
    if (orphan) process.kill(orphan.pid, "SIGSTOP");
    process.kill(victim.pid, strike.fault === "kill" ? "SIGKILL" : "SIGSTOP");
    if (strike.fault === "pause") {
      await delay(strike.pauseMs);
      if (isSameProcess(victim)) process.kill(victim.pid, "SIGCONT");
    } else if (target === "supervisor") {
      await gateway.replaceSupervisor(strike.absenceMs);
      // The successor has killed it by now; if not, it goes on, and the audit sees what it does.
      if (orphan && isSameProcess(orphan)) process.kill(orphan.pid, "SIGCONT");
    }
    return true;
  }

  /** The status just before the blow, with work in flight where that comes about in time. */
  async #awaitWorkInFlight({ target }: Blow, gateway: GatewayUnderTest): Promise<StatusView | null> {
    const deadlineMs = Date.now() + inFlightTimeoutMs;
    for (;;) {
      const status = await gateway.status();
      this.#evidence.observed(status, gateway.processOf("consumer")?.pid);
      if (Date.now() >= deadlineMs || (status && hasWorkInFlight(target, status))) return status;
      await delay(statusPollMs);
    }
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
