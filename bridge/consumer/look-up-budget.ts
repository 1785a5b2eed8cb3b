/** Each look-up reads a table's log as well. */
const LOOK_UP_BYTES = 1024 * 1024;

export interface LookUpLimits {
  /** Read at once, after a pause. */
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
}

export const lookUpLimits: LookUpLimits = {
  burstBytes: 1024 * 1024 * 1024,
  bytesPerSecond: 64 * 1024 * 1024,
};

/** Bounds what the consumer reads of the lake for the sake of single messages, so that no device can slow it for all. */
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

  /** Whether a look-up that reads so many bytes may be made now; if so, it is counted. */
  take(bytes: number): boolean {
    const { burstBytes, bytesPerSecond } = this.#limits;
    const nowMs = this.#elapsedMs();
    const elapsedMs = nowMs - this.#countedAtMs;
    this.#countedAtMs = nowMs;
    this.#leftBytes = Math.min(burstBytes, this.#leftBytes + (elapsedMs * bytesPerSecond) / 1000);
    const wanted = bytes + LOOK_UP_BYTES;
    if (wanted > this.#leftBytes) return false;
    this.#leftBytes -= wanted;
    return true;
  }
}
