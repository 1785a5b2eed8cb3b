import { DEDUP_KEY_BYTES } from "../window/dedup-window.ts";
import type { DedupeKeyMaker } from "./dedupe-key.ts";
import { ExactIdColumns } from "./exact-id-columns.ts";
import type { JudgedMessage } from "./judge-message.ts";

export const KEY_WORDS = DEDUP_KEY_BYTES / 4;

/** Messages with the keys by which a window knows their ids. */
export interface KeyedMessages {
  readonly messages: readonly JudgedMessage[];
  /** Index of the message's key, or -1 where it has no id. */
  readonly keyOf: Int32Array;
  /** By message: keys of the same content under other topics; undefined for most. */
  readonly othersOf: readonly (readonly OtherKey[] | undefined)[];
  /** By message, where it has others: its key as an id that was used again. */
  readonly reusedKeyOf: readonly (number | undefined)[];
  /** Index of the message's exact id, or -1. */
  readonly exactOf: Int32Array;
  readonly exact: ExactIdColumns;
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
}

export interface OtherKey {
  readonly key: number;
  readonly contentHash: number;
}

export function withKeys(keys: DedupeKeyMaker, messages: readonly JudgedMessage[]): KeyedMessages {
  const keyOf = new Int32Array(messages.length).fill(-1);
  const exactOf = new Int32Array(messages.length).fill(-1);
  const exact = new ExactIdColumns();
  const otherKeys = messages.reduce((sum, { others }) => sum + otherKeysOf(others.length), 0);
  const words = new Uint32Array((messages.length + otherKeys) * KEY_WORDS);
  const target = Buffer.from(words.buffer);
  let count = 0;
  for (const [index, { topic, row, exactSequence }] of messages.entries()) {
    const { deviceId, messageId, streamTimeMs } = row;
    if (messageId === null) continue;
    const id = { topicId: topic.topicId, deviceId, messageId };
    keys.write(target, count * DEDUP_KEY_BYTES, id);
    keyOf[index] = count++;
    if (exactSequence !== null)
      exactOf[index] = exact.add(keys, { ...id, sequence: exactSequence, streamTimeMs });
  }
  const othersOf: (readonly OtherKey[])[] = [];
  const reusedKeyOf: number[] = [];
  const write = (id: Parameters<DedupeKeyMaker["write"]>[2]) => {
    keys.write(target, count * DEDUP_KEY_BYTES, id);
    return count++;
  };
  for (const [index, message] of otherKeys === 0 ? [] : messages.entries()) {
    const { topic, row, others, contentHash: reusedContentHash } = message;
    if (others.length === 0) continue;
    const { deviceId, messageId } = row;
    if (messageId !== null)
      reusedKeyOf[index] = write({ topicId: topic.topicId, deviceId, messageId, reusedContentHash });
    othersOf[index] = others.flatMap(({ contentHash, ...reading }): OtherKey[] => [
      { key: write({ ...reading, deviceId }), contentHash },
      { key: write({ ...reading, deviceId, reusedContentHash: contentHash }), contentHash },
    ]);
  }
  const bytes = target.subarray(0, count * DEDUP_KEY_BYTES);
  return { messages, keyOf, exactOf, othersOf, reusedKeyOf, exact, words, bytes };
}

/** Each other reading may be known by the id alone, or as an id that was used again; and so may the message's own. */
function otherKeysOf(others: number): number {
  return others === 0 ? 0 : 2 * others + 1;
}
