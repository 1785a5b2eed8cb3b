/** `released`: a QoS 2 message that was acknowledged by PUBREC, and whose PUBCOMP is still to come. */
export const slotUse = { free: 0, original: 1, copy: 2, released: 3 } as const;
export type SlotUse = (typeof slotUse)[keyof typeof slotUse];

/**
 * Messages that were published and not acknowledged yet: a ring of `window` slots for each connection, 13
 * bytes a slot. Slot k of a connection is packet identifier k + 1; slots are used in turn, so that their
 * order is the order of publishing.
 */
export class InFlight {
  readonly window: number;
  readonly #indexes: Int32Array;
  readonly #uses: Uint8Array;
  readonly #writtenAtMs: Float64Array;

  constructor(connections: number, window: number) {
    this.window = window;
    this.#indexes = new Int32Array(connections * window);
    this.#uses = new Uint8Array(connections * window);
    this.#writtenAtMs = new Float64Array(connections * window);
  }

  /** `packetId` may be any number that a server sent. */
  use(connection: number, packetId: number): SlotUse {
    if (packetId < 1 || packetId > this.window) return slotUse.free;
    return this.#uses[connection * this.window + packetId - 1] as SlotUse;
  }

  index(connection: number, packetId: number): number {
    return this.#indexes[connection * this.window + packetId - 1] as number;
  }

  writtenAtMs(connection: number, packetId: number): number {
    return this.#writtenAtMs[connection * this.window + packetId - 1] as number;
  }

  take(connection: number, packetId: number, message: { index: number; use: SlotUse; nowMs: number }): void {
    const slot = connection * this.window + packetId - 1;
    this.#indexes[slot] = message.index;
    this.#uses[slot] = message.use;
    this.#writtenAtMs[slot] = message.nowMs;
  }

  /** The message is acknowledged; the identifier stays taken until its exchange is complete. */
  release(connection: number, packetId: number): void {
    this.#uses[connection * this.window + packetId - 1] = slotUse.released;
  }

  free(connection: number, packetId: number): void {
    this.#uses[connection * this.window + packetId - 1] = slotUse.free;
  }
}
