/**
 * Runs work in order, a bounded amount in each turn of the event loop, so that other events get their turn.
 */
export class PacedWork {
  readonly #perTurn: number;
  readonly #waiting: (() => void)[] = [];
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
    while (this.#waiting.length > 0 && this.#doneInTurn < this.#perTurn) {
      this.#doneInTurn++;
      this.#waiting.shift()?.();
    }
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(() => {
      this.#isTurnDue = false;
      this.#doneInTurn = 0;
      if (this.#waiting.length > 0) this.#run();
    });
  }
}
