import type { JudgedMessage } from "../../../tail/judge-message.ts";
import type { WindowHits } from "../../window/dedup-window.ts";
import { idFactsOf } from "../ids/id-facts.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";
import { type KeyedMessages, type OtherKeys, wordsPerKey } from "./keyed-messages.ts";
import { isOpen, verdict } from "./message-verdict.ts";

/** Messages, and what the window knows of their ids. */
export interface LookedUp {
  readonly cursor: PartitionCursor;
  readonly keyed: KeyedMessages;
  readonly hits: WindowHits;
}

/**
 * Decides about messages from an index on, and returns the index of the first undecided one. It stops at a
 * message that may have the same id as an open one. Messages with the same id in a batch see each other: ids
 * of filed messages enter the batch's ids at once.
 */
export function decideMessages(
  looked: LookedUp,
  { verdicts, from }: { readonly verdicts: Uint8Array; readonly from: number },
): number {
  const { keyed } = looked;
  const { messages, othersOf, contentKeyOf } = keyed;
  const openIds = new Set<string>();
  for (let index = from; index < messages.length; index++) {
    const others = othersOf[index];
    if (isOneOf(openIds, keyed, index)) return index;
    const own = ownVerdict(looked, index);
    verdicts[index] = others === undefined ? own : verdictOfAll(looked, { own, others, index });
    if (verdicts[index] === verdict.file) remember(looked, index);
    if (isOpen(verdicts[index]) && contentKeyOf.length > 0)
      openIds.add(idOf(keyed, keyed.keyOf[index] as number));
  }
  return messages.length;
}

/**
 * Whether the message may be one of the open ones. Only messages that are (or may be) known by their content,
 * too, can be.
 */
function isOneOf(ids: ReadonlySet<string>, keyed: KeyedMessages, index: number): boolean {
  if (ids.size === 0 || keyed.contentKeyOf[index] === undefined) return false;
  const others = keyed.othersOf[index] ?? [];
  const keys = [keyed.keyOf[index] as number, ...others.flatMap(({ key, contentKey }) => [key, contentKey])];
  return keys.some((key) => key >= 0 && ids.has(idOf(keyed, key)));
}

function idOf({ words }: KeyedMessages, key: number): string {
  return words.subarray(key * wordsPerKey, (key + 1) * wordsPerKey).join();
}

/**
 * A faulty message is remembered only together with its content. So its id can be filed in a table once the
 * topic's schema is corrected.
 */
export function remember({ cursor, keyed }: Pick<LookedUp, "cursor" | "keyed">, index: number): void {
  const message = keyed.messages[index] as JudgedMessage;
  const isFaulty = message.fault !== null;
  const key = isFaulty ? (keyed.contentKeyOf[index] ?? -1) : (keyed.keyOf[index] as number);
  if (key < 0) return;
  cursor.ids.set(keyed.words, key * wordsPerKey, idFactsOf(message));
  const exact = keyed.exactOf[index] as number;
  if (exact >= 0) cursor.ids.exact.copy(keyed.exact, exact);
}

/**
 * `own`, unless another topic has filed the same message. A reused id is decided at once, so that resends to
 * other topics see it.
 */
function verdictOfAll(
  looked: LookedUp,
  {
    own,
    others,
    index,
  }: { readonly own: number; readonly others: readonly OtherKeys[]; readonly index: number },
): number {
  if (own === verdict.duplicate || own === verdict.oldDuplicate) return own;
  const { cursor, keyed } = looked;
  const message = keyed.messages[index] as JudgedMessage;
  const isFine = own !== verdict.reused && message.fault === null;
  if (others.some((other) => isElsewhere(looked, other, { message, isFine }))) return verdict.duplicate;
  const contentKey = keyed.contentKeyOf[index];
  if (own !== verdict.reused || contentKey === undefined) return own;
  if (knownHash(looked, contentKey, message) !== null) return verdict.duplicate;
  cursor.ids.set(keyed.words, contentKey * wordsPerKey, idFactsOf(message));
  return verdict.quarantine;
}

/**
 * Whether another topic has the same message in its table or in quarantine. A quarantined copy with a fault
 * does not keep the message from a table; one with a reused id does.
 */
function isElsewhere(
  looked: LookedUp,
  { key, contentKey, contentHash }: OtherKeys,
  { message, isFine }: { readonly message: JudgedMessage; readonly isFine: boolean },
): boolean {
  const filed = knownHash(looked, key, message);
  if (filed === contentHash) return true;
  return (filed !== null || !isFine) && knownHash(looked, contentKey, message) !== null;
}

/** The verdict from what its own topic has filed. */
function ownVerdict(looked: LookedUp, index: number): number {
  const { cursor, keyed, hits } = looked;
  const key = keyed.keyOf[index] as number;
  if (key < 0) return verdict.file;
  const message = keyed.messages[index] as JudgedMessage;
  const { ids } = cursor;
  const row = ids.find(keyed.words, key * wordsPerKey);
  const { streamTimeMs } = message;
  if (row >= 0 && isLiving(ids.expiresAtSeconds(row), streamTimeMs))
    return sameOrReused(ids.contentHash(row), message);
  if (isLiving(hits.expiresAtSeconds[key] as number, streamTimeMs))
    return sameOrReused(hits.contentHashes[key] as number, message);
  const exact = keyed.exactOf[index] as number;
  if (exact >= 0 && row >= 0)
    return ids.contentHash(row) === message.contentHash ? verdict.oldDuplicate : verdict.reused;
  const contentKey = keyed.contentKeyOf[index];
  if (message.fault !== null && contentKey !== undefined) {
    if (knownHash(looked, contentKey, message) !== null) return verdict.duplicate;
    if (exact >= 0 && ids.find(keyed.words, contentKey * wordsPerKey) >= 0) return verdict.oldDuplicate;
  }
  return exact >= 0 && hits.known[exact] === 1 ? verdict.old : verdict.file;
}

/** The content hash known under a key; null if there is none, or if it has expired. */
function knownHash(
  { cursor: { ids }, keyed: { words }, hits }: LookedUp,
  key: number,
  { streamTimeMs }: JudgedMessage,
): number | null {
  const row = ids.find(words, key * wordsPerKey);
  if (row >= 0 && isLiving(ids.expiresAtSeconds(row), streamTimeMs)) return ids.contentHash(row);
  const isKnown = isLiving(hits.expiresAtSeconds[key] as number, streamTimeMs);
  return isKnown ? (hits.contentHashes[key] as number) : null;
}

function sameOrReused(contentHash: number, message: JudgedMessage): number {
  return contentHash === message.contentHash ? verdict.duplicate : verdict.reused;
}

export function isLiving(expiresAtSeconds: number, streamTimeMs: number): boolean {
  return expiresAtSeconds * 1000 > streamTimeMs;
}
