/** Once full, it has room again below this share, so that publishers are not stopped and started for every block. */
const resumeShare = 0.75;

/** Bytes of accepted messages that are not settled yet. */
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

  /** Registers the one listener that is told when a full budget has room again. */
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
