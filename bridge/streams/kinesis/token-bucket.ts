/** A rate limit: `perSecond` tokens each second, and at most as many at once. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #monotonicMs: () => number;
  #tokens: number;
  #filledAtMs: number;

  constructor(perSecond: number, monotonicMs: () => number) {
    this.#perSecond = perSecond;
    this.#monotonicMs = monotonicMs;
    this.#tokens = perSecond;
    this.#filledAtMs = monotonicMs();
  }

  /**
   * Time until that many tokens can be taken, ms; 0 = now. An amount above `perSecond` waits for a full
   * bucket.
   */
  waitMs(amount: number): number {
    this.#fill();
    const missing = Math.min(amount, this.#perSecond) - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil((missing / this.#perSecond) * 1000);
  }

  take(amount: number): void {
    this.#fill();
    this.#tokens -= amount;
  }

  /** Empties the bucket, because another process has used the shard's rate. */
  drain(): void {
    this.#fill();
    this.#tokens = Math.min(this.#tokens, 0);
  }

  #fill(): void {
    const nowMs = this.#monotonicMs();
    const filled = this.#tokens + ((nowMs - this.#filledAtMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#perSecond, filled);
    this.#filledAtMs = nowMs;
  }
}
