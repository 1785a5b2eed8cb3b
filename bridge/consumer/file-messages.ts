import { DEDUP_KEY_BYTES, type WindowHits } from "../window/dedup-window.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { ExactIdColumns } from "./exact-id-columns.ts";
import type { JudgedMessage } from "./judge-message.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { type ContentFault, contentFault } from "./quarantine-reason.ts";

const KEY_WORDS = DEDUP_KEY_BYTES / 4;

/**
 * What becomes of a message. `reused`: its id was filed with another payload, and what becomes of that id with this one is open.
 * `oldDuplicate`: one that only the exact mode still knows; of those no payload hash is kept.
 */
const verdict = { file: 0, duplicate: 1, reused: 2, oldDuplicate: 3 } as const;

interface KeyedMessages {
  readonly messages: readonly JudgedMessage[];
  /** Index of the message's key, or -1 where it has no id. */
  readonly keyOf: Int32Array;
  /** Index of the message's exact id, or -1. */
  readonly exactOf: Int32Array;
  readonly exact: ExactIdColumns;
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
}

const reusedFault = contentFault(
  "id-reused",
  "this device sent the id with another payload before, within the topic's dedupe window",
);

/**
 * Deduplicates messages of one partition and puts them into the open batch, in order.
 * A message is a duplicate if its id is in the window or in the open batch, has not expired by stream time, and came with the same
 * payload. In a topic with exact deduplication it is one also if the id is the SDK's and was filed at any time before. "superseded": the window is not at the committed position any more; nothing that was decided since counts.
 */
export async function fileMessages(
  context: ConsumerContext,
  cursor: PartitionCursor,
  messages: readonly JudgedMessage[],
): Promise<"filed" | "superseded"> {
  const keyed = withKeys(context, messages);
  const hits = await context.window.lookup(
    cursor.partition,
    cursor.committed,
    keyed.bytes,
    keyed.exact.ids(),
  );
  if (hits === null) return "superseded";
  const verdicts = decide(cursor, keyed, hits);
  if (verdicts.includes(verdict.reused)) {
    const outcome = await decideReused(context, cursor, keyed, verdicts);
    if (outcome === "superseded") return outcome;
  }
  let oldDuplicates = 0;
  for (const [index, message] of messages.entries()) {
    const outcome = verdicts[index];
    if (outcome === verdict.oldDuplicate) oldDuplicates += 1;
    if (outcome === verdict.duplicate || outcome === verdict.oldDuplicate) {
      cursor.counters.duplicates += 1;
      continue;
    }
    const fault = outcome === verdict.reused ? reusedFault : message.fault;
    // Awaited only where the writer asks for it: an await per message would cost more than the message.
    const added = addRow(context, cursor, message, fault);
    if (added) await added;
  }
  if (oldDuplicates > 0) context.metrics.oldDuplicates(oldDuplicates);
  return "filed";
}

function withKeys(context: ConsumerContext, messages: readonly JudgedMessage[]): KeyedMessages {
  const keyOf = new Int32Array(messages.length).fill(-1);
  const exactOf = new Int32Array(messages.length).fill(-1);
  const exact = new ExactIdColumns();
  const words = new Uint32Array(messages.length * KEY_WORDS);
  const target = Buffer.from(words.buffer);
  let count = 0;
  for (const [index, { topic, row, exactSequence }] of messages.entries()) {
    const { deviceId, messageId, ingestTimeMs } = row;
    if (messageId === null) continue;
    const id = { topicId: topic.topicId, deviceId, messageId };
    context.keys.write(target, count * DEDUP_KEY_BYTES, id);
    keyOf[index] = count++;
    if (exactSequence !== null)
      exactOf[index] = exact.add(context.keys, { ...id, sequence: exactSequence, ingestTimeMs });
  }
  return { messages, keyOf, exactOf, exact, words, bytes: target.subarray(0, count * DEDUP_KEY_BYTES) };
}

/** Messages of the same id within the batch see each other: what is filed enters the batch's ids at once. */
function decide(cursor: PartitionCursor, keyed: KeyedMessages, hits: WindowHits): Uint8Array {
  const { messages, keyOf, exactOf, words } = keyed;
  const { ids } = cursor;
  const verdicts = new Uint8Array(messages.length);
  for (const [index, message] of messages.entries()) {
    const key = keyOf[index] as number;
    if (key < 0) continue;
    const at = key * KEY_WORDS;
    const row = ids.find(words, at);
    const exact = exactOf[index] as number;
    const streamTimeMs = message.row.ingestTimeMs;
    if (row >= 0 && isLiving(ids.expiresAtSeconds(row), streamTimeMs))
      verdicts[index] = sameOrReused(ids.contentHash(row), message);
    else if (isLiving(hits.expiresAtSeconds[key] as number, streamTimeMs))
      verdicts[index] = sameOrReused(hits.contentHashes[key] as number, message);
    else if (exact >= 0 && (row >= 0 || hits.known[exact] === 1)) verdicts[index] = verdict.oldDuplicate;
    else {
      ids.set(words, at, message.contentHash, expirySeconds(message));
      if (exact >= 0) ids.exact.copy(keyed.exact, exact);
    }
  }
  return verdicts;
}

/** An id with another payload has a key of its own, so that resends of that message are duplicates. */
async function decideReused(
  context: ConsumerContext,
  cursor: PartitionCursor,
  keyed: KeyedMessages,
  verdicts: Uint8Array,
): Promise<"decided" | "superseded"> {
  const indexes = [...verdicts.keys()].filter((index) => verdicts[index] === verdict.reused);
  const words = new Uint32Array(indexes.length * KEY_WORDS);
  const target = Buffer.from(words.buffer);
  for (const [key, index] of indexes.entries()) {
    const { topic, row, contentHash } = keyed.messages[index] as JudgedMessage;
    const id = { topicId: topic.topicId, deviceId: row.deviceId, messageId: row.messageId as Uint8Array };
    context.keys.write(target, key * DEDUP_KEY_BYTES, { ...id, reusedContentHash: contentHash });
  }
  const hits = await context.window.lookup(cursor.partition, cursor.committed, target);
  if (hits === null) return "superseded";
  for (const [key, index] of indexes.entries()) {
    const message = keyed.messages[index] as JudgedMessage;
    const at = key * KEY_WORDS;
    const row = cursor.ids.find(words, at);
    const inBatch = row >= 0 ? cursor.ids.expiresAtSeconds(row) : 0;
    const inWindow = hits.expiresAtSeconds[key] as number;
    if (isLiving(Math.max(inBatch, inWindow), message.row.ingestTimeMs)) verdicts[index] = verdict.duplicate;
    else cursor.ids.set(words, at, message.contentHash, expirySeconds(message));
  }
  return "decided";
}

function addRow(
  context: ConsumerContext,
  cursor: PartitionCursor,
  message: JudgedMessage,
  fault: ContentFault | null,
): void | Promise<void> {
  const { topic, row, values } = message;
  if (fault === null) {
    cursor.counters.filed += 1;
    return context.batch.add(topic, row, values);
  }
  cursor.counters.quarantined += 1;
  context.metrics.quarantined(fault.reason);
  const { topicId, version: topicVersion } = topic;
  return context.batch.quarantine(row, { ...fault, topicId, topicVersion });
}

function sameOrReused(contentHash: number, message: JudgedMessage): number {
  return contentHash === message.contentHash ? verdict.duplicate : verdict.reused;
}

function isLiving(expiresAtSeconds: number, streamTimeMs: number): boolean {
  return expiresAtSeconds * 1000 > streamTimeMs;
}

function expirySeconds(message: JudgedMessage): number {
  return expiryOf(message.row.ingestTimeMs, message.topic.dedupeWindowMs);
}

/** Stream time in whole seconds, rounded up, at which an id may be forgotten. */
export function expiryOf(ingestTimeMs: number, windowMs: number): number {
  return Math.ceil((ingestTimeMs + windowMs) / 1000);
}
