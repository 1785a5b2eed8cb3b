import { BlockBuilder } from "../block/block-builder.ts";
import type { BlockMessage, BlockSeal } from "../block/block-format.ts";
import { decodeBlock } from "../block/decode-block.ts";

export type Settled = (error?: Error) => void;

/** An accepted message with its callback. */
export interface AcceptedMessage {
  readonly message: BlockMessage;
  readonly settled: Settled;
}

/** The seal of a block that is never sent. */
const noSeal: BlockSeal = {
  streamId: "0".repeat(32),
  producerId: "0".repeat(16),
  partition: 0,
  sequence: 0,
  lastAcknowledgedSequence: 0,
  acknowledgedMessages: 0,
  time: { wallMs: 0, bootId: "0".repeat(16), stampMs: 0, acknowledgedAtMs: 0 },
};

/**
 * Bytes of memory per accepted message besides its topic name and payload: its callback and its share of the
 * block.
 */
const messageOverheadBytes = 96;

/** Bytes that an accepted message takes of the in-flight budget. */
export function inFlightBytesOf(message: BlockMessage): number {
  return message.payload.length + message.topicName.length + messageOverheadBytes;
}

/** A block that still takes messages, with the callback of each. */
export class OpenBlock {
  /** By the producer's boot clock, ms. */
  readonly openedAtMs: number;
  readonly #builder: BlockBuilder;
  readonly #settled: Settled[] = [];
  readonly #whenSettled: (() => void)[] = [];
  #inFlightBytes = 0;
  #sealed: Uint8Array | undefined;
  /** True once the block has waited for more messages long enough. */
  isDue = false;

  constructor(options: { maxBytes: number; openedAtMs: number }) {
    this.openedAtMs = options.openedAtMs;
    this.#builder = new BlockBuilder({ maxBytes: options.maxBytes });
  }

  get byteLength(): number {
    return this.#builder.byteLength;
  }

  /** Finishes the block. Do not add messages afterwards; the bytes never change. */
  seal(seal: BlockSeal): Uint8Array {
    this.#sealed = this.#builder.seal(seal);
    return this.#sealed;
  }

  get messageCount(): number {
    return this.#settled.length;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** False if the message no longer fits; the block is then unchanged. */
  add(message: BlockMessage, settled: Settled): boolean {
    if (!this.#builder.add(message)) return false;
    this.#settled.push(settled);
    this.#inFlightBytes += inFlightBytesOf(message);
    return true;
  }

  whenSettled(listener: () => void): void {
    this.#whenSettled.push(listener);
  }

  /**
   * Returns the messages, in the order of acceptance, for another lane. This block no longer settles them.
   */
  handOver(): AcceptedMessage[] {
    const { messages } = decodeBlock(this.#sealed ?? this.seal(noSeal));
    const accepted = messages.map((message, index) => ({
      message,
      settled: this.#settled[index] as Settled,
    }));
    this.#settled.length = 0;
    for (const listener of this.#whenSettled) listener();
    return accepted;
  }

  /** Calls all callbacks in the order of acceptance, even if one throws. Returns the first exception. */
  settle(error?: Error): unknown {
    let thrown: unknown;
    for (const settled of this.#settled) {
      try {
        settled(error);
      } catch (failure) {
        thrown ??= failure;
      }
    }
    for (const listener of this.#whenSettled) listener();
    return thrown;
  }
}
