import { EPOCH_BYTES } from "../../devices/protocol/message-id.ts";
import { DEDUP_KEY_BYTES, type ExactIds } from "../window/dedup-window.ts";
import type { DedupeKeyMaker } from "./dedupe-key.ts";

const CAPACITY_FIRST = 64;

/** ExactIds that grow. */
export class ExactIdColumns {
  #length = 0;
  #deviceKeys = Buffer.alloc(0);
  #epochs = new Uint8Array(0);
  #sequences = new Float64Array(0);
  #seenAtSeconds = new Uint32Array(0);

  get length(): number {
    return this.#length;
  }

  /** @returns Its index. */
  add(
    keys: DedupeKeyMaker,
    id: {
      readonly topicId: string;
      readonly deviceId: string;
      readonly messageId: Uint8Array;
      readonly sequence: number;
      readonly streamTimeMs: number;
    },
  ): number {
    const index = this.#room();
    keys.writeDevice(this.#deviceKeys, index * DEDUP_KEY_BYTES, id);
    for (let byte = 0; byte < EPOCH_BYTES; byte++)
      this.#epochs[index * EPOCH_BYTES + byte] = id.messageId[byte] as number;
    this.#sequences[index] = id.sequence;
    this.#seenAtSeconds[index] = Math.floor(id.streamTimeMs / 1000);
    return index;
  }

  copy(from: ExactIdColumns, index: number): void {
    const to = this.#room();
    const keyAt = index * DEDUP_KEY_BYTES;
    from.#deviceKeys.copy(this.#deviceKeys, to * DEDUP_KEY_BYTES, keyAt, keyAt + DEDUP_KEY_BYTES);
    const epochAt = index * EPOCH_BYTES;
    this.#epochs.set(from.#epochs.subarray(epochAt, epochAt + EPOCH_BYTES), to * EPOCH_BYTES);
    this.#sequences[to] = from.#sequences[index] as number;
    this.#seenAtSeconds[to] = from.#seenAtSeconds[index] as number;
  }

  /** Views: valid until the next change. undefined where there are none. */
  ids(): ExactIds | undefined {
    const length = this.#length;
    if (length === 0) return undefined;
    return {
      length,
      deviceKeys: this.#deviceKeys.subarray(0, length * DEDUP_KEY_BYTES),
      epochs: this.#epochs.subarray(0, length * EPOCH_BYTES),
      sequences: this.#sequences.subarray(0, length),
      seenAtSeconds: this.#seenAtSeconds.subarray(0, length),
    };
  }

  #room(): number {
    const index = this.#length++;
    if (index < this.#sequences.length) return index;
    const capacity = Math.max(CAPACITY_FIRST, index * 2);
    const deviceKeys = Buffer.alloc(capacity * DEDUP_KEY_BYTES);
    deviceKeys.set(this.#deviceKeys);
    this.#deviceKeys = deviceKeys;
    this.#epochs = grown(this.#epochs, new Uint8Array(capacity * EPOCH_BYTES));
    this.#sequences = grown(this.#sequences, new Float64Array(capacity));
    this.#seenAtSeconds = grown(this.#seenAtSeconds, new Uint32Array(capacity));
    return index;
  }
}

function grown<Column extends { set(old: ArrayLike<number>): void } & ArrayLike<number>>(
  old: Column,
  fresh: Column,
): Column {
  fresh.set(old);
  return fresh;
}
