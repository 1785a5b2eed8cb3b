import { fullJitterDelayMs } from "../../devices/protocol/backoff.ts";
import type { Refusal } from "../processes/messages.ts";

const backoff = { baseMs: 100, maxMs: 10_000 };
/** A child that reported why it cannot start usually waits for a person. */
const refusedBackoff = { baseMs: 1_000, maxMs: 30_000 };
/** A child that was ready for this time has not been failing: its next delay is short again. */
const healthyAfterMs = 5_000;
/** A failure that lasts for this time needs attention. */
const reportedAfterMs = 10_000;

/**
 * Decides over the restarts of a child how severe its failures are, and how long to wait before the next
 * start.
 */
export class ChildHealth {
  readonly #random: () => number;
  #attempt = 0;
  #readyAtMs: number | null = null;
  /** The time at which the failures began; null = there were none. */
  #failingSinceMs: number | null = null;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Returns true if the child had failed before. */
  becameReady(): boolean {
    this.#readyAtMs = performance.now();
    return this.#failingSinceMs !== null;
  }

  /** Severity of a failure now: `error` if a person has to act, or if failures have lasted for seconds. */
  level(refusal: Refusal | null): "warn" | "error" {
    const nowMs = performance.now();
    if (this.#wasHealthy(nowMs)) this.#failingSinceMs = nowMs;
    this.#failingSinceMs ??= nowMs;
    const waitsForPerson = refusal !== null && !refusal.retryable;
    return waitsForPerson || nowMs - this.#failingSinceMs >= reportedAfterMs ? "error" : "warn";
  }

  /** Delay before the next start, after a process that ended or could not start. */
  nextDelayMs(refusal: Refusal | null): number {
    if (this.#wasHealthy(performance.now())) this.#attempt = 0;
    this.#readyAtMs = null;
    return fullJitterDelayMs(this.#attempt++, refusal ? refusedBackoff : backoff, this.#random);
  }

  #wasHealthy(nowMs: number): boolean {
    return this.#readyAtMs !== null && nowMs - this.#readyAtMs >= healthyAfterMs;
  }
}
