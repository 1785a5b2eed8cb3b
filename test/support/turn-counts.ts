import { setImmediate as turn } from "node:timers/promises";

/** Counts how often something is done in each turn of the event loop. */
export class TurnCounts {
  readonly #counts: number[] = [];
  #now = 0;

  count(): void {
    this.#now += 1;
  }

  get total(): number {
    return this.#counts.reduce((sum, count) => sum + count, this.#now);
  }

  get most(): number {
    return Math.max(...this.#counts, this.#now);
  }

  /** Resolves once so many were counted; throws if nothing is counted for ten turns. */
  async until(total: number): Promise<void> {
    for (let idle = 0; this.total < total; idle = this.#counts.at(-1) === 0 ? idle + 1 : 0) {
      if (idle === 10) throw new Error(`${this.total} of ${total} after ten turns without any`);
      await turn();
      this.#counts.push(this.#now);
      this.#now = 0;
    }
  }
}
