/** Lets waiting connections through at a bounded rate, first come first served. */
export class ConnectGate<Item> {
  readonly #perSecond: number;
  readonly #waiting = new Set<Item>();
  #tokens = 0;
  #refilledAtMs: number | null = null;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  enter(item: Item): void {
    this.#waiting.add(item);
  }

  clear(): void {
    this.#waiting.clear();
  }

  /** The connections whose turn has come. Unused turns are kept for a tenth of a second at most. */
  admit(nowMs: number): Item[] {
    const elapsedMs = nowMs - (this.#refilledAtMs ?? nowMs);
    this.#refilledAtMs = nowMs;
    const tokensMax = Math.max(1, this.#perSecond / 10);
    this.#tokens = Math.min(tokensMax, this.#tokens + (elapsedMs * this.#perSecond) / 1000);
    const admitted: Item[] = [];
    for (const item of this.#waiting) {
      if (this.#tokens < 1) break;
      this.#tokens--;
      this.#waiting.delete(item);
      admitted.push(item);
    }
    return admitted;
  }
}
