import { DEDUP_KEY_BYTES, type WindowHits } from "../window/dedup-window.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { filingFailure } from "./filing-guard.ts";
import { idFactsOf } from "./id-facts.ts";
import type { JudgedMessage } from "./judge-message.ts";
import { KEY_WORDS, type KeyedMessages, type OtherKey, withKeys } from "./keyed-messages.ts";
import { lookUpOldIds, type OldIdVerdict, unsureFault } from "./old-ids.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { type ContentFault, contentFault } from "./quarantine-reason.ts";

/**
 * What becomes of a message. `reused`: its id was filed with other content, and what becomes of that id with this one is open;
 * `quarantine`: it goes there as such. `old`: only the exact mode still knows its id, and with which content is open; then it is an
 * `oldDuplicate`, `reused` or `unsure`. `oldReused`: the window knows the id with other content, and the lake may know it with this one.
 */
const verdict = {
  file: 0,
  duplicate: 1,
  reused: 2,
  oldDuplicate: 3,
  quarantine: 4,
  old: 5,
  unsure: 6,
  oldReused: 7,
} as const;

const reusedFault = contentFault(
  "id-reused",
  "this device sent the id with other content before (payload, event time or topic name), within the topic's dedupe window or, in exact mode, at any time",
);

/**
 * Deduplicates messages of one partition and puts them into the open batch, in order.
 * A message is a duplicate if its id is in the window or in the open batch, has not expired by stream time, and came with the same
 * content. In a topic with exact deduplication it is one also if the id is the SDK's and the lake has it with this content from any time
 * before. "superseded": the window is not at the committed position any more; nothing that was decided since counts.
 */
export async function fileMessages(
  context: ConsumerContext,
  cursor: PartitionCursor,
  messages: readonly JudgedMessage[],
): Promise<"filed" | "superseded"> {
  const keyed = withKeys(context.keys, messages);
  const hits = await context.window.lookup(
    cursor.partition,
    cursor.committed,
    keyed.bytes,
    keyed.exact.ids(),
  );
  if (hits === null) return "superseded";
  const verdicts = new Uint8Array(messages.length);
  for (let from = 0; from < messages.length; ) {
    const to = decide(cursor, keyed, hits, { verdicts, from });
    const outcome = await decideOpen(context, cursor, keyed, { verdicts, from, to });
    if (outcome === "superseded") return outcome;
    from = to;
  }
  const isFiled = (index: number) => verdicts[index] === verdict.file && messages[index]?.fault === null;
  const unwritable = await context.filing.unwritable(cursor, messages, isFiled);
  let oldDuplicates = 0;
  for (const [index, message] of messages.entries()) {
    const outcome = verdicts[index];
    if (outcome === verdict.oldDuplicate) oldDuplicates += 1;
    if (outcome === verdict.duplicate || outcome === verdict.oldDuplicate) {
      cursor.counters.duplicates += 1;
      continue;
    }
    const isReused = outcome === verdict.reused || outcome === verdict.quarantine;
    const ownFault =
      outcome === verdict.unsure ? unsureFault : (message.fault ?? unwritable.get(index) ?? null);
    const fault = isReused ? reusedFault : ownFault;
    // Awaited only where the writer asks for it: an await per message would cost more than the message.
    const added = addRow(context, cursor, message, fault);
    if (added) await added;
  }
  if (oldDuplicates > 0) context.metrics.oldDuplicates(oldDuplicates);
  return "filed";
}

/**
 * Decides about messages from an index on, and returns the index up to which it did: up to one that may be known under an id about which
 * is not decided yet. Messages of the same id within the batch see each other: what is filed enters the batch's ids at once.
 */
function decide(
  cursor: PartitionCursor,
  keyed: KeyedMessages,
  hits: WindowHits,
  { verdicts, from }: { readonly verdicts: Uint8Array; readonly from: number },
): number {
  const { messages, othersOf } = keyed;
  const openIds = new Set<string>();
  for (let index = from; index < messages.length; index++) {
    const others = othersOf[index];
    if (others !== undefined && isOneOf(openIds, keyed, { index, others })) return index;
    const own = ownVerdict(cursor, keyed, hits, index);
    if (others === undefined || own === verdict.duplicate || own === verdict.oldDuplicate)
      verdicts[index] = own;
    else verdicts[index] = verdictOfAll(cursor, keyed, hits, { own, others, index });
    if (verdicts[index] === verdict.file) remember(cursor, keyed, index, messages[index] as JudgedMessage);
    if (isOpen(verdicts[index]) && othersOf.length > 0)
      openIds.add(idOf(keyed, keyed.keyOf[index] as number));
  }
  return messages.length;
}

function isOpen(outcome: number | undefined): boolean {
  return outcome === verdict.reused || outcome === verdict.old;
}

function isOneOf(
  ids: ReadonlySet<string>,
  keyed: KeyedMessages,
  { index, others }: { readonly index: number; readonly others: readonly OtherKey[] },
): boolean {
  if (ids.size === 0) return false;
  return [keyed.keyOf[index] as number, ...others.map(({ key }) => key)].some(
    (key) => key >= 0 && ids.has(idOf(keyed, key)),
  );
}

function idOf({ words }: KeyedMessages, key: number): string {
  return words.subarray(key * KEY_WORDS, (key + 1) * KEY_WORDS).join();
}

function remember(
  cursor: PartitionCursor,
  keyed: KeyedMessages,
  index: number,
  message: JudgedMessage,
): void {
  const key = keyed.keyOf[index] as number;
  if (key < 0) return;
  cursor.ids.set(keyed.words, key * KEY_WORDS, idFactsOf(message));
  const exact = keyed.exactOf[index] as number;
  if (exact >= 0) cursor.ids.exact.copy(keyed.exact, exact);
}

/** `own`, unless another topic has filed the same; an id that was used again is decided at once, so that resends to other topics see it. */
function verdictOfAll(
  cursor: PartitionCursor,
  keyed: KeyedMessages,
  hits: WindowHits,
  {
    own,
    others,
    index,
  }: { readonly own: number; readonly others: readonly OtherKey[]; readonly index: number },
): number {
  const message = keyed.messages[index] as JudgedMessage;
  const reused = keyed.reusedKeyOf[index];
  const asReused = own === verdict.reused && reused !== undefined;
  const asked = asReused ? [...others, { key: reused, contentHash: message.contentHash }] : others;
  if (asked.some((other) => isFiled(cursor, keyed, hits, { other, message }))) return verdict.duplicate;
  if (!asReused) return own;
  cursor.ids.set(keyed.words, reused * KEY_WORDS, idFactsOf(message));
  return verdict.quarantine;
}

/** By what its own topic has filed. */
function ownVerdict(cursor: PartitionCursor, keyed: KeyedMessages, hits: WindowHits, index: number): number {
  const key = keyed.keyOf[index] as number;
  if (key < 0) return verdict.file;
  const message = keyed.messages[index] as JudgedMessage;
  const { ids } = cursor;
  const row = ids.find(keyed.words, key * KEY_WORDS);
  const { streamTimeMs } = message;
  if (row >= 0 && isLiving(ids.expiresAtSeconds(row), streamTimeMs))
    return sameOrReused(ids.contentHash(row), message);
  if (isLiving(hits.expiresAtSeconds[key] as number, streamTimeMs))
    return sameOrReused(hits.contentHashes[key] as number, message);
  const exact = keyed.exactOf[index] as number;
  if (exact < 0) return verdict.file;
  if (row >= 0) return ids.contentHash(row) === message.contentHash ? verdict.oldDuplicate : verdict.reused;
  return hits.known[exact] === 1 ? verdict.old : verdict.file;
}

/** Whether the same content is filed under that key. */
function isFiled(
  { ids }: PartitionCursor,
  { words }: KeyedMessages,
  hits: WindowHits,
  { other: { key, contentHash }, message }: { other: OtherKey; message: JudgedMessage },
): boolean {
  const { streamTimeMs } = message;
  const row = ids.find(words, key * KEY_WORDS);
  if (row >= 0 && isLiving(ids.expiresAtSeconds(row), streamTimeMs))
    return ids.contentHash(row) === contentHash;
  const isKnown = isLiving(hits.expiresAtSeconds[key] as number, streamTimeMs);
  return isKnown && hits.contentHashes[key] === contentHash;
}

/**
 * Decides about ids that were used again, or may have been. An id with other content has a key of its own, so that resends of that
 * message are duplicates.
 */
async function decideOpen(
  context: ConsumerContext,
  cursor: PartitionCursor,
  keyed: KeyedMessages,
  { verdicts, from, to }: { readonly verdicts: Uint8Array; readonly from: number; readonly to: number },
): Promise<"decided" | "superseded"> {
  const indexes: number[] = [];
  for (let index = from; index < to; index++) if (isOpen(verdicts[index])) indexes.push(index);
  if (indexes.length === 0) return "decided";
  const messages = indexes.map((index) => keyed.messages[index] as JudgedMessage);
  const words = reusedKeys(context, messages);
  const bytes = new Uint8Array(words.buffer);
  const hits = await context.window.lookup(cursor.partition, cursor.committed, bytes);
  if (hits === null) return "superseded";
  for (const [key, index] of indexes.entries()) {
    const { streamTimeMs } = messages[key] as JudgedMessage;
    if (isLiving(hits.expiresAtSeconds[key] as number, streamTimeMs)) verdicts[index] = verdict.duplicate;
    // The window may have forgotten that the id came with this content, and know the other one since that came again.
    else if (verdicts[index] === verdict.reused && (keyed.exactOf[index] as number) >= 0)
      verdicts[index] = verdict.oldReused;
  }
  await decideOld(context, keyed, verdicts);
  for (const [key, index] of indexes.entries()) {
    if (verdicts[index] !== verdict.reused && verdicts[index] !== verdict.unsure) continue;
    const message = messages[key] as JudgedMessage;
    const at = key * KEY_WORDS;
    const row = cursor.ids.find(words, at);
    const isExact = (keyed.exactOf[index] as number) >= 0;
    const inBatch = row >= 0 ? cursor.ids.expiresAtSeconds(row) : 0;
    if ((isExact && row >= 0) || isLiving(inBatch, message.streamTimeMs)) verdicts[index] = verdict.duplicate;
    else cursor.ids.set(words, at, idFactsOf(message));
  }
  return "decided";
}

function reusedKeys(context: ConsumerContext, messages: readonly JudgedMessage[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(messages.length * KEY_WORDS);
  const target = Buffer.from(words.buffer);
  for (const [key, { topic, row, contentHash }] of messages.entries()) {
    const id = { topicId: topic.topicId, deviceId: row.deviceId, messageId: row.messageId as Uint8Array };
    context.keys.write(target, key * DEDUP_KEY_BYTES, { ...id, reusedContentHash: contentHash });
  }
  return words;
}

const ofOld = { resend: verdict.oldDuplicate, reused: verdict.reused, unsure: verdict.unsure } as const;

async function decideOld(
  context: ConsumerContext,
  keyed: KeyedMessages,
  verdicts: Uint8Array,
): Promise<void> {
  const isAsked = (index: number) => verdicts[index] === verdict.old || verdicts[index] === verdict.oldReused;
  const old = [...verdicts.keys()].filter(isAsked);
  if (old.length === 0) return;
  const found = await lookUpOldIds(
    context,
    old.map((index) => keyed.messages[index] as JudgedMessage),
  );
  for (const [at, index] of old.entries()) {
    const said = found[at] as OldIdVerdict;
    const isReused = verdicts[index] === verdict.oldReused && said === "unsure";
    verdicts[index] = isReused ? verdict.reused : ofOld[said];
  }
}

function addRow(
  context: ConsumerContext,
  cursor: PartitionCursor,
  message: JudgedMessage,
  fault: ContentFault | null,
): void | Promise<void> {
  const { topic, row, values } = message;
  context.windowAlarm.filed(row.deviceId);
  if (fault === null) {
    cursor.counters.filed += 1;
    return written(() => context.batch.add(topic, row, values));
  }
  cursor.counters.quarantined += 1;
  context.metrics.quarantined(fault.reason);
  const { topicId, version: topicVersion } = topic;
  return written(() => context.batch.quarantine(row, { ...fault, topicId, topicVersion }));
}

function written(add: () => void | Promise<void>): void | Promise<void> {
  try {
    const added = add();
    return added?.catch((error: unknown) => {
      throw filingFailure(error);
    });
  } catch (error) {
    throw filingFailure(error);
  }
}

function sameOrReused(contentHash: number, message: JudgedMessage): number {
  return contentHash === message.contentHash ? verdict.duplicate : verdict.reused;
}

function isLiving(expiresAtSeconds: number, streamTimeMs: number): boolean {
  return expiresAtSeconds * 1000 > streamTimeMs;
}
