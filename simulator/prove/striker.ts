import { setTimeout as delay } from "node:timers/promises";
import { isSameProcess, type ProcessIdentity } from "../../devices/protocol/process-identity.ts";
import { silenceMs } from "./proof-settings.ts";
import {
  type Blow,
  isProcessTarget,
  type ProcessTarget,
  type Strike,
  type StrikeEffect,
  type Target,
} from "./strike.ts";
import { hasWorkInFlight, type StrikeEvidence } from "./strikes/strike-evidence.ts";
import type { SystemUnderTest } from "./system-under-test.ts";
import type { GatewayUnderTest, StatusView } from "./under-test/gateway-under-test.ts";

/** A strike that was dealt. */
export interface DealtStrike extends Blow {
  readonly atMs: number;
  readonly round: number;
  readonly gateway: number;
  readonly isAtCommit: boolean;
  /** True: it met work in flight. */
  readonly wasInFlight: boolean;
  readonly detail: string;
}

/**
 * A consumer that was killed just before seeds its window first. That takes a busy machine most of a minute.
 */
const inFlightTimeoutMs = 120_000;
const commitTimeoutMs = 5_000;
const statusPollMs = 25;
const hangTimeoutMs = 6 * silenceMs;

/** Deals strikes, each when the system is ready. Waits for work in flight, but not for ever. */
export class Striker {
  readonly #system: SystemUnderTest;
  readonly #evidence: StrikeEvidence;
  readonly #onDealt: (strike: DealtStrike) => void;

  constructor(system: SystemUnderTest, evidence: StrikeEvidence, onDealt: (strike: DealtStrike) => void) {
    this.#system = system;
    this.#evidence = evidence;
    this.#onDealt = onDealt;
  }

  async strike(strike: Strike): Promise<void> {
    await this.#system.ready();
    await delay(strike.delayMs);
    const { target, fault, round, isAtCommit } = strike;
    const { number, gateway, status: before } = await this.#awaitWorkInFlight(strike);
    if (isAtCommit) await this.#system.nextCommit(commitTimeoutMs);
    const atMs = Date.now();
    const effect = isProcessTarget(target)
      ? await this.#strikeProcess(strike, target, gateway)
      : await this.#system.part(target, number).strike(strike);
    if (effect === "absent") return;
    const wasInFlight = this.#evidence.struck(strike, before, effect);
    const detail = effect?.detail ?? "";
    this.#onDealt({ atMs, round, fault, target, gateway: number, isAtCommit, wasInFlight, detail });
  }

  /** `absent` if the process does not exist now. */
  async #strikeProcess(
    strike: Strike,
    target: ProcessTarget,
    gateway: GatewayUnderTest,
  ): Promise<StrikeEffect | null | "absent"> {
    const victim = gateway.processOf(target);
    if (!victim) return "absent";
    if (strike.fault === "hang") return await hang(target, victim);
    const orphan = strike.orphan && gateway.processOf(strike.orphan);
    if (orphan) process.kill(orphan.pid, "SIGSTOP");
    process.kill(victim.pid, strike.fault === "kill" ? "SIGKILL" : "SIGSTOP");
    if (strike.fault === "pause") {
      await delay(strike.pauseMs);
      if (isSameProcess(victim)) process.kill(victim.pid, "SIGCONT");
    } else if (target === "supervisor") {
      await gateway.replaceSupervisor(strike.absenceMs);
      // The successor has killed the child by now. If not, the child continues, and the audit sees what it
      // does.
      if (orphan && isSameProcess(orphan)) process.kill(orphan.pid, "SIGCONT");
    }
    return null;
  }

  /**
   * The gateway to strike, and its status just before the blow, with work in flight if that happens in time.
   * One of the gateways does the upkeep for all, whichever the plan names.
   */
  async #awaitWorkInFlight({ target, gateway: planned }: Strike): Promise<Sight> {
    const all = this.#system.gateways.map((gateway, number) => ({ number, gateway }));
    const watched = target === "upkeep" ? all : all.filter(({ number }) => number === planned);
    const deadlineMs = performance.now() + inFlightTimeoutMs;
    for (let turn = 0; ; turn++) {
      const { number, gateway } = watched[turn % watched.length] as (typeof all)[number];
      const status = await gateway.status();
      this.#evidence.observed(status, gateway.processOf("consumer")?.pid);
      if (performance.now() >= deadlineMs || (status && hasWorkInFlight(target, status)))
        return { number, gateway, status };
      await delay(statusPollMs);
    }
  }
}

interface Sight {
  readonly number: number;
  readonly gateway: GatewayUnderTest;
  /** null = it did not answer. */
  readonly status: StatusView | null;
}

/** Its supervisor has to notice. */
async function hang(target: ProcessTarget, victim: ProcessIdentity): Promise<StrikeEffect | null> {
  process.kill(victim.pid, "SIGSTOP");
  const endMs = performance.now() + hangTimeoutMs;
  while (isSameProcess(victim) && performance.now() < endMs) await delay(statusPollMs);
  if (!isSameProcess(victim)) return null;
  process.kill(victim.pid, "SIGCONT");
  return { harm: `a ${target} that stood still was not ended in ${hangTimeoutMs / 1000} s` };
}

const partsOfGateway: readonly Target[] = ["clock", "data-folder", "clients"];

/** A line for people: when, in which round, what, whom, and whether that had work in flight. */
export function strikeLine(
  strike: DealtStrike,
  { rounds, gateways }: { rounds: number; gateways: number },
): string {
  const time = new Date(strike.atMs).toISOString().slice(11, 23);
  const isOfGateway = isProcessTarget(strike.target) || partsOfGateway.includes(strike.target);
  const whose = gateways > 1 && isOfGateway ? ` of gateway ${strike.gateway + 1}` : "";
  const parts = [
    `${time} round ${strike.round}/${rounds}: ${strike.fault} ${strike.target}${whose}`,
    ...(strike.detail === "" ? [] : [strike.detail]),
    ...(strike.isAtCommit ? ["at a commit"] : []),
    strike.wasInFlight ? "work in flight" : "NO work in flight",
  ];
  return parts.join(" · ");
}
