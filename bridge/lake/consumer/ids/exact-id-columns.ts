import { epochBytes } from "../../../../devices/protocol/message-id.ts";
import { dedupKeyBytes, type ExactIds } from "../../window/dedup-window.ts";
import type { DedupeKeyMaker } from "./dedupe-key.ts";

const capacityFirst = 64;

/** Growing columns of exact ids. */
export class ExactIdColumns {
  #length = 0;
  #deviceKeys = Buffer.alloc(0);
  #epochs = new Uint8Array(0);
  #sequences = new Float64Array(0);
  #seenAtSeconds = new Uint32Array(0);

  get length(): number {
    return this.#length;
  }

  /** Returns the index of the added id. */
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
    keys.writeDevice(this.#deviceKeys, index * dedupKeyBytes, id);
    for (let byte = 0; byte < epochBytes; byte++)
      this.#epochs[index * epochBytes + byte] = id.messageId[byte] as number;
    this.#sequences[index] = id.sequence;
    this.#seenAtSeconds[index] = Math.floor(id.streamTimeMs / 1000);
    return index;
  }

  copy(from: ExactIdColumns, index: number): void {
    const to = this.#room();
    const keyAt = index * dedupKeyBytes;
    from.#deviceKeys.copy(this.#deviceKeys, to * dedupKeyBytes, keyAt, keyAt + dedupKeyBytes);
    const epochAt = index * epochBytes;
    this.#epochs.set(from.#epochs.subarray(epochAt, epochAt + epochBytes), to * epochBytes);
    this.#sequences[to] = from.#sequences[index] as number;
    this.#seenAtSeconds[to] = from.#seenAtSeconds[index] as number;
  }

  /** Views, valid until the next change; undefined if there are no ids. */
  ids(): ExactIds | undefined {
    const length = this.#length;
    if (length === 0) return undefined;
    return {
      length,
      deviceKeys: this.#deviceKeys.subarray(0, length * dedupKeyBytes),
      epochs: this.#epochs.subarray(0, length * epochBytes),
      sequences: this.#sequences.subarray(0, length),
      seenAtSeconds: this.#seenAtSeconds.subarray(0, length),
    };
  }

  #room(): number {
    const index = this.#length++;
    if (index < this.#sequences.length) return index;
    const capacity = Math.max(capacityFirst, index * 2);
    const deviceKeys = Buffer.alloc(capacity * dedupKeyBytes);
    deviceKeys.set(this.#deviceKeys);
    this.#deviceKeys = deviceKeys;
    this.#epochs = grown(this.#epochs, new Uint8Array(capacity * epochBytes));
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
