/** What may be taken: a second's worth at once, and a second's worth each second. */
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

  /** For how many ms that much can't be taken yet; 0 = it can. What is more than a second's worth waits for a full bucket. */
  waitMs(amount: number): number {
    this.#fill();
    const missing = Math.min(amount, this.#perSecond) - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil((missing / this.#perSecond) * 1000);
  }

  take(amount: number): void {
    this.#fill();
    this.#tokens -= amount;
  }

  /** Somebody else has taken what this one thought to be there. */
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
