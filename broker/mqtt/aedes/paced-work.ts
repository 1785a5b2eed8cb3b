/** Work in its order, so much of it in a turn of the event loop, so that what others wait for comes in between. */
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
