import { BridgeError } from "../../bridge/errors.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** One simulated process. Calls of a dead process never return; those of a paused one wait. */
export interface Process {
  readonly name: string;
  /** True during work with very many calls: the process then neither dies nor meets failures. */
  readonly isSure?: boolean;
  isDead: boolean;
  pausedUntilStep: number;
}

interface PendingCall {
  readonly process: Process;
  readonly name: string;
  readonly effect: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface FaultRates {
  /** Share of calls that fail without effect, or take effect without an answer. */
  readonly failBefore: number;
  readonly failAfter: number;
  /** Share of calls at which the process dies, before or after their effect. */
  readonly crash: number;
  readonly pause: number;
  /** Of calls whose name matches `at`. Others may commit, prune and tidy up several times meanwhile. */
  readonly longPauses: { readonly rate: number; readonly at: RegExp };
}

const longPauseMaxSteps = 2500;

/**
 * Runs the external calls of all processes one at a time, in an order drawn from the seed. Between two
 * calls, each process runs until it only waits for calls.
 */
export class Scheduler {
  readonly #random: SeededRandom;
  #pending: PendingCall[] = [];
  rates: FaultRates;
  steps = 0;
  readonly trace: string[] = [];

  constructor(random: SeededRandom, rates: FaultRates) {
    this.#random = random;
    this.rates = rates;
  }

  /** A call of `process`, whose effect happens when its turn comes. */
  call<Result>(process: Process, name: string, effect: () => Result | Promise<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      if (process.isDead) return;
      this.#pending.push({ process, name, effect, resolve: resolve as (value: unknown) => void, reject });
    });
  }

  kill(process: Process): void {
    process.isDead = true;
    this.#pending = this.#pending.filter((call) => call.process !== process);
    this.#note(`${process.name} dies`);
  }

  /** Runs one call. False if none can run. */
  async step(): Promise<boolean> {
    this.steps += 1;
    const runnable = this.#pending.filter(({ process }) => process.pausedUntilStep <= this.steps);
    if (runnable.length === 0) {
      await settled();
      return this.#pending.length > 0;
    }
    const call = this.#random.pick(runnable);
    this.#pending.splice(this.#pending.indexOf(call), 1);
    await this.#perform(call);
    await settled();
    return true;
  }

  async #perform(call: PendingCall): Promise<void> {
    const { process, name } = call;
    const { crash, pause, longPauses, failBefore, failAfter } = this.rates;
    const isLong = longPauses.at.test(name) && this.#random.chance(longPauses.rate);
    if (isLong || this.#random.chance(pause)) {
      process.pausedUntilStep = this.steps + 1 + this.#random.below(isLong ? longPauseMaxSteps : 300);
      this.#note(`${process.name} pauses before ${name}`);
      this.#pending.push(call);
      return;
    }
    if (!process.isSure && this.#random.chance(crash)) {
      if (this.#random.chance(0.5)) await this.#effect(call).catch(() => {});
      this.#note(`${process.name} dies in ${name}`);
      this.kill(process);
      return;
    }
    const mayFail = !process.isSure && !/^(sleep|wait)/.test(name);
    if (mayFail && this.#random.chance(failBefore)) {
      this.#note(`${process.name} ${name} fails before`);
      call.reject(injected(name));
      return;
    }
    try {
      const result = await this.#effect(call);
      if (mayFail && this.#random.chance(failAfter)) {
        this.#note(`${process.name} ${name} fails after`);
        call.reject(injected(name));
      } else call.resolve(result);
    } catch (error) {
      call.reject(error);
    }
  }

  async #effect(call: PendingCall): Promise<unknown> {
    this.#note(`${call.process.name} ${call.name}`);
    return call.effect();
  }

  #note(line: string): void {
    this.trace.push(line);
    if (this.trace.length > 4000) this.trace.splice(0, 2000);
  }
}

function injected(name: string): BridgeError {
  return new BridgeError("STORE_UNAVAILABLE", `injected: ${name}`, { retryable: true });
}

/** Resolves when all promise callbacks that can run have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
