const tickMs = 50;

/**
 * Closes connections at a bounded pace, each after a random wait. Otherwise all devices would reconnect at
 * the same moment after a failure of the stream. The number of connections bounds the queue.
 */
export class PacedCloses {
  readonly #perTick: number;
  readonly #random: () => number;
  readonly #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { perSecond: number; random: () => number }) {
    this.#perTick = Math.max(1, Math.floor((options.perSecond * tickMs) / 1000));
    this.#random = options.random;
  }

  add(close: () => void): void {
    this.#waiting.push(close);
    this.#timer ??= setTimeout(() => this.#tick(), tickMs * this.#random());
  }

  /** Closes all waiting connections now. */
  stop(): void {
    clearTimeout(this.#timer);
    for (const close of this.#waiting.splice(0)) close();
  }

  #tick(): void {
    for (let count = 0; count < this.#perTick; count++) {
      const index = Math.floor(this.#random() * this.#waiting.length);
      const last = this.#waiting.pop();
      if (!last) break;
      const chosen = index < this.#waiting.length ? (this.#waiting[index] as () => void) : last;
      if (chosen !== last) this.#waiting[index] = last;
      chosen();
    }
    this.#timer = this.#waiting.length > 0 ? setTimeout(() => this.#tick(), tickMs) : undefined;
  }
}
