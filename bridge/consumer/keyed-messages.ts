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
  readonly othersOf: readonly (readonly OtherKeys[] | undefined)[];
  /** By message, where it has others or a fault: the key of its id together with its content, under which the quarantine holds it. */
  readonly contentKeyOf: readonly (number | undefined)[];
  /** Index of the message's exact id, or -1. */
  readonly exactOf: Int32Array;
  readonly exact: ExactIdColumns;
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
}

export interface OtherKeys {
  readonly key: number;
  /** Under which the quarantine holds it. */
  readonly contentKey: number;
  readonly contentHash: number;
}

export function withKeys(keys: DedupeKeyMaker, messages: readonly JudgedMessage[]): KeyedMessages {
  const keyOf = new Int32Array(messages.length).fill(-1);
  const exactOf = new Int32Array(messages.length).fill(-1);
  const exact = new ExactIdColumns();
  const furtherKeys = messages.reduce((sum, message) => sum + furtherKeysOf(message), 0);
  const words = new Uint32Array((messages.length + furtherKeys) * KEY_WORDS);
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
  const othersOf: (readonly OtherKeys[])[] = [];
  const contentKeyOf: number[] = [];
  const write = (id: Parameters<DedupeKeyMaker["write"]>[2]) => {
    keys.write(target, count * DEDUP_KEY_BYTES, id);
    return count++;
  };
  for (const [index, message] of furtherKeys === 0 ? [] : messages.entries()) {
    const { topic, row, others, contentHash } = message;
    if (furtherKeysOf(message) === 0) continue;
    const { deviceId, messageId } = row;
    if (messageId !== null)
      contentKeyOf[index] = write({ topicId: topic.topicId, deviceId, messageId, contentHash });
    if (others.length === 0) continue;
    othersOf[index] = others.map(({ contentHash, ...reading }) => ({
      key: write({ ...reading, deviceId }),
      contentKey: write({ ...reading, deviceId, contentHash }),
      contentHash,
    }));
  }
  const bytes = target.subarray(0, count * DEDUP_KEY_BYTES);
  return { messages, keyOf, exactOf, othersOf, contentKeyOf, exact, words, bytes };
}

/** Each other reading may be known by the id alone, or together with the content; and so may the message's own. */
function furtherKeysOf({ others, fault }: JudgedMessage): number {
  return others.length === 0 && fault === null ? 0 : 2 * others.length + 1;
}
