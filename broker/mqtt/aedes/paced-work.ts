/** Filters that are granted, or removed, in one turn: each takes some 20 µs in the matchers. */
export const filtersPerTurn = 25;

/**
 * Runs work in order, a bounded amount in each turn of the event loop, so that other events get their turn.
 */
export class PacedWork {
  readonly #perTurn: number;
  #waiting: (() => void)[] = [];
  #next = 0;
  #doneInTurn = 0;
  #isTurnDue = false;

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
  }

  /** At once if this turn has room. */
  add(work: () => void): void {
    this.#waiting.push(work);
    if (!this.#isTurnDue || this.#doneInTurn < this.#perTurn) this.#run();
  }

  #run(): void {
    while (this.#next < this.#waiting.length && this.#doneInTurn < this.#perTurn) {
      this.#doneInTurn++;
      this.#waiting[this.#next++]?.();
    }
    this.#forgetDone();
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(() => {
      this.#isTurnDue = false;
      this.#doneInTurn = 0;
      if (this.#waiting.length > 0) this.#run();
    });
  }

  /** Half of the array at a time, since the rest moves. */
  #forgetDone(): void {
    if (this.#next * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
  }
}
