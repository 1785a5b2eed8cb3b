/** Added to each look-up, because it also reads a table's log. */
const lookUpBytes = 1024 * 1024;

export interface LookUpLimits {
  /** Maximum bytes to read at once after a pause. */
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
}

export const lookUpLimits: LookUpLimits = {
  burstBytes: 1024 * 1024 * 1024,
  bytesPerSecond: 64 * 1024 * 1024,
};

/**
 * Bounds what the consumer reads from the lake for single messages, so that no device can slow down all
 * others.
 */
export class LookUpBudget {
  readonly #limits: LookUpLimits;
  readonly #elapsedMs: () => number;
  #leftBytes: number;
  #countedAtMs: number;

  /** @param elapsedMs A clock that never steps. */
  constructor(limits: LookUpLimits, elapsedMs: () => number) {
    this.#limits = limits;
    this.#elapsedMs = elapsedMs;
    this.#leftBytes = limits.burstBytes;
    this.#countedAtMs = elapsedMs();
  }

  /** Whether a look-up may read this many bytes now. If so, they are counted. */
  take(bytes: number): boolean {
    const { burstBytes, bytesPerSecond } = this.#limits;
    const nowMs = this.#elapsedMs();
    const elapsedMs = nowMs - this.#countedAtMs;
    this.#countedAtMs = nowMs;
    this.#leftBytes = Math.min(burstBytes, this.#leftBytes + (elapsedMs * bytesPerSecond) / 1000);
    const wanted = bytes + lookUpBytes;
    if (wanted > this.#leftBytes) return false;
    this.#leftBytes -= wanted;
    return true;
  }
}
