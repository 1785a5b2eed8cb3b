/**
 * A full budget has room again below this share, so that publishers do not stop and start with every block.
 */
const resumeShare = 0.75;

/** Counts the bytes of accepted messages that are not settled. */
export class InFlightBudget {
  readonly #maxBytes: number;
  #bytes = 0;
  #isFull = false;
  #onDrain: () => void = () => {};

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** Registers the only listener, called when a full budget has room again. */
  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= this.#maxBytes) this.#isFull = true;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
    if (!this.#isFull || this.#bytes > this.#maxBytes * resumeShare) return;
    this.#isFull = false;
    this.#onDrain();
  }
}
