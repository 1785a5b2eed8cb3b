type Done = (error?: Error | null) => void;

/**
 * Lets one message at a time stand between being numbered and being delivered. Aedes numbers a message when it is published, but waits
 * for its store first where that is QoS 1 or retained; a message that another one overtakes meanwhile is then dropped as a duplicate,
 * for its number is lower than the last one delivered (`dedupe` in its client.js). What waits is bounded by what settles in one turn.
 */
export class PublishOrder {
  #waiting: (() => void)[] = [];
  #next = 0;
  #current: object | null = null;
  #isDraining = false;

  /** Runs `publish` when its turn has come. It must call what it is given when it has ended, which calls `done` too. */
  enter(publish: (done: Done) => void, done: Done = () => {}): void {
    this.#waiting.push(() => {
      const turn = {};
      this.#current = turn;
      publish((error) => {
        // Where it ended before it was delivered.
        this.#leave(turn);
        done(error);
      });
    });
    this.#drain();
  }

  /** The message whose turn it is has been handed to its subscribers. */
  delivered(): void {
    if (this.#current) this.#leave(this.#current);
  }

  #leave(turn: object): void {
    if (this.#current !== turn) return;
    this.#current = null;
    this.#drain();
  }

  /** A loop, not a recursion: thousands may wait. */
  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    while (this.#current === null && this.#next < this.#waiting.length) this.#waiting[this.#next++]?.();
    this.#isDraining = false;
    if (this.#next < this.#waiting.length) return;
    this.#waiting = [];
    this.#next = 0;
  }
}
