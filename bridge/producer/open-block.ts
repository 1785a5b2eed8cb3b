import { BlockBuilder } from "../block/block-builder.ts";
import type { BlockMessage } from "../block/block-format.ts";

export type Settled = (error?: Error) => void;

/** Memory that an accepted message takes besides its texts and payload: its callback and its share of the block. */
const messageOverheadBytes = 96;

/** What an accepted message counts for in the in-flight budget. */
export function inFlightBytesOf(message: BlockMessage): number {
  return message.payload.length + message.topicName.length + messageOverheadBytes;
}

/** A block that still takes messages, with whom to tell about each. */
export class OpenBlock {
  readonly openedAtMs: number;
  readonly #builder: BlockBuilder;
  readonly #settled: Settled[] = [];
  readonly #whenSettled: (() => void)[] = [];
  #inFlightBytes = 0;
  /** True once it has waited for more messages long enough. */
  isDue = false;

  constructor(options: { maxBytes: number; openedAtMs: number }) {
    this.openedAtMs = options.openedAtMs;
    this.#builder = new BlockBuilder({ maxBytes: options.maxBytes });
  }

  get builder(): BlockBuilder {
    return this.#builder;
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
