import type { JudgedMessage } from "../../../tail/judge-message.ts";
import { dedupKeyBytes } from "../../window/dedup-window.ts";
import type { DedupeKeyMaker } from "../ids/dedupe-key.ts";
import { ExactIdColumns } from "../ids/exact-id-columns.ts";

export const wordsPerKey = dedupKeyBytes / 4;

/** Messages with the keys of their ids in the window. */
export interface KeyedMessages {
  readonly messages: readonly JudgedMessage[];
  /** Index of the message's key; -1 if it has no id. */
  readonly keyOf: Int32Array;
  /** By message: keys of the same content under other topics; undefined for most. */
  readonly othersOf: readonly (readonly OtherKeys[] | undefined)[];
  /**
   * By message with other readings or a fault: index of the key of its id together with its content, as in
   * the quarantine.
   */
  readonly contentKeyOf: readonly (number | undefined)[];
  /** Index of the message's exact id, or -1. */
  readonly exactOf: Int32Array;
  readonly exact: ExactIdColumns;
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
}

export interface OtherKeys {
  readonly key: number;
  /** Index of the key in the quarantine. */
  readonly contentKey: number;
  readonly contentHash: number;
}

export function withKeys(keys: DedupeKeyMaker, messages: readonly JudgedMessage[]): KeyedMessages {
  const keyOf = new Int32Array(messages.length).fill(-1);
  const exactOf = new Int32Array(messages.length).fill(-1);
  const exact = new ExactIdColumns();
  const furtherKeys = messages.reduce((sum, message) => sum + furtherKeysOf(message), 0);
  const words = new Uint32Array((messages.length + furtherKeys) * wordsPerKey);
  const target = Buffer.from(words.buffer);
  let count = 0;
  for (const [index, { topic, row, exactSequence }] of messages.entries()) {
    const { deviceId, messageId, streamTimeMs } = row;
    if (messageId === null) continue;
    const id = { topicId: topic.topicId, deviceId, messageId };
    keys.write(target, count * dedupKeyBytes, id);
    keyOf[index] = count++;
    if (exactSequence !== null)
      exactOf[index] = exact.add(keys, { ...id, sequence: exactSequence, streamTimeMs });
  }
  const othersOf: (readonly OtherKeys[])[] = [];
  const contentKeyOf: number[] = [];
  const write = (id: Parameters<DedupeKeyMaker["write"]>[2]) => {
    keys.write(target, count * dedupKeyBytes, id);
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
  const bytes = target.subarray(0, count * dedupKeyBytes);
  return { messages, keyOf, exactOf, othersOf, contentKeyOf, exact, words, bytes };
}

/** Each other reading may be known by its id alone, or by id and content; the message itself, too. */
function furtherKeysOf({ others, fault }: JudgedMessage): number {
  return others.length === 0 && fault === null ? 0 : 2 * others.length + 1;
}
