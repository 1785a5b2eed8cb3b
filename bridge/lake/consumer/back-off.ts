import { setTimeout as delay } from "node:timers/promises";
import { fullJitterDelayMs } from "../../../devices/protocol/backoff.ts";
import { CodedError } from "../../../devices/protocol/coded-error.ts";

const baseMs = 100;

/** Resolves after the delay, or at once when the signal aborts. */
export type Sleep = (delayMs: number, signal: AbortSignal) => Promise<void>;

/** Waits that a stop ends early. One flow uses it at a time. */
export class BackOff {
  readonly #options: { maxMs: number; random: () => number; sleep: Sleep };
  #isStopping = false;
  #ring: (() => void) | undefined;

  constructor(options: { maxMs: number; random: () => number; sleep: Sleep }) {
    this.#options = options;
  }

  /** Whether `stop` was called: nothing is worth waiting for. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  stop(): void {
    this.#isStopping = true;
    this.wake();
  }

  /** Ends the current wait, if any. */
  wake(): void {
    this.#ring?.();
  }

  /** Waits with full jitter. `attempt` counts the failed attempts before this one. */
  async afterFailure(attempt: number): Promise<void> {
    const { maxMs, random } = this.#options;
    await this.pause(fullJitterDelayMs(attempt, { baseMs, maxMs }, random));
  }

  /** Waits this long, or until `wake`. */
  async pause(delayMs: number): Promise<void> {
    const abort = new AbortController();
    await this.until(this.#options.sleep(delayMs, abort.signal));
    abort.abort();
  }

  /** Waits for `work`, or until `wake`. */
  async until(work: Promise<unknown>): Promise<void> {
    if (this.#isStopping) {
      work.catch(() => {});
      return;
    }
    await new Promise<void>((resolve, reject) => {
      this.#ring = resolve;
      work.then(() => resolve(), reject);
    });
    this.#ring = undefined;
  }
}

/** Whether the same step may succeed later without a change by anyone. */
export function isRetryable(error: unknown): error is CodedError {
  return error instanceof CodedError && error.retryable;
}

export async function sleepWithTimer(delayMs: number, signal: AbortSignal): Promise<void> {
  await delay(delayMs, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
