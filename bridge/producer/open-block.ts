import { BlockBuilder } from "../block/block-builder.ts";
import type { BlockMessage, BlockSeal } from "../block/block-format.ts";
import { decodeBlock } from "../block/decode-block.ts";

export type Settled = (error?: Error) => void;

/** An accepted message, and whom to tell about it. */
export interface AcceptedMessage {
  readonly message: BlockMessage;
  readonly settled: Settled;
}

/** Stands where a block that is never sent needs one. */
const noSeal: BlockSeal = {
  streamId: "0".repeat(32),
  producerId: "0".repeat(16),
  partition: 0,
  sequence: 0,
  lastAcknowledgedSequence: 0,
  acknowledgedMessages: 0,
  time: { wallMs: 0, bootId: "0".repeat(16), stampMs: 0, acknowledgedAtMs: 0 },
};

/** Memory that an accepted message takes besides its texts and payload: its callback and its share of the block. */
const messageOverheadBytes = 96;

/** What an accepted message counts for in the in-flight budget. */
export function inFlightBytesOf(message: BlockMessage): number {
  return message.payload.length + message.topicName.length + messageOverheadBytes;
}

/** A block that still takes messages, with whom to tell about each. */
export class OpenBlock {
  /** By the producer's boot clock. */
  readonly openedAtMs: number;
  readonly #builder: BlockBuilder;
  readonly #settled: Settled[] = [];
  readonly #whenSettled: (() => void)[] = [];
  #inFlightBytes = 0;
  #sealed: Uint8Array | undefined;
  /** True once it has waited for more messages long enough. */
  isDue = false;

  constructor(options: { maxBytes: number; openedAtMs: number }) {
    this.openedAtMs = options.openedAtMs;
    this.#builder = new BlockBuilder({ maxBytes: options.maxBytes });
  }

  get byteLength(): number {
    return this.#builder.byteLength;
  }

  /** Nothing may be added any more. The bytes never change. */
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

  /** False, with nothing changed, where the message does not fit any more. */
  add(message: BlockMessage, settled: Settled): boolean {
    if (!this.#builder.add(message)) return false;
    this.#settled.push(settled);
    this.#inFlightBytes += inFlightBytesOf(message);
    return true;
  }

  whenSettled(listener: () => void): void {
    this.#whenSettled.push(listener);
  }

  /** Gives its messages, in the order of acceptance, to another block: nobody is told of them here any more. */
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

  /** Tells everyone, in the order of acceptance. A listener that throws keeps nobody else from being told; answers the first throw. */
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
