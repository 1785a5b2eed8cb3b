type Done = (error?: Error | null) => void;

/**
 * Lets one message at a time be between its numbering and its delivery. Aedes numbers a message when it is
 * published, but stores it first if it is QoS 1 or retained. A message that another one overtakes meanwhile
 * is dropped as a duplicate, because its number is lower than the last delivered one (`dedupe` in its
 * client.js). The messages that settle in one turn bound the queue.
 */
export class PublishOrder {
  #waiting: (() => void)[] = [];
  #next = 0;
  #current: object | null = null;
  #isDraining = false;

  /**
   * Runs `publish` when its turn has come. `publish` must call the given function at its end, which calls
   * `done` too.
   */
  enter(publish: (done: Done) => void, done: Done = () => {}): void {
    this.#waiting.push(() => {
      const turn = {};
      this.#current = turn;
      publish((error) => {
        // If the message ended before its delivery.
        this.#leave(turn);
        done(error);
      });
    });
    this.#drain();
  }

  /** The current message has been handed to its subscribers. */
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
