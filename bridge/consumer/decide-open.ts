import { DEDUP_KEY_BYTES } from "../window/dedup-window.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { isLiving, remember } from "./decide-messages.ts";
import { idFactsOf } from "./id-facts.ts";
import type { JudgedMessage } from "./judge-message.ts";
import { KEY_WORDS, type KeyedMessages } from "./keyed-messages.ts";
import { isOpen, verdict } from "./message-verdict.ts";
import { lookUpOldIds, type OldIdVerdict } from "./old-ids.ts";
import type { PartitionCursor } from "./partition-cursor.ts";

/**
 * Decides about ids that were used again, or may have been. An id with other content has a key of its own, so that resends of that
 * message are duplicates.
 */
export async function decideOpen(
  context: ConsumerContext,
  { cursor, keyed }: { readonly cursor: PartitionCursor; readonly keyed: KeyedMessages },
  { verdicts, from, to }: { readonly verdicts: Uint8Array; readonly from: number; readonly to: number },
): Promise<"decided" | "superseded"> {
  const indexes: number[] = [];
  for (let index = from; index < to; index++) if (isOpen(verdicts[index])) indexes.push(index);
  if (indexes.length === 0) return "decided";
  const messages = indexes.map((index) => keyed.messages[index] as JudgedMessage);
  const words = contentKeys(context, messages);
  const hits = await context.window.lookup(cursor.partition, cursor.committed, new Uint8Array(words.buffer));
  if (hits === null) return "superseded";
  const isQuarantined = messages.map(({ streamTimeMs }, at) =>
    isLiving(hits.expiresAtSeconds[at] as number, streamTimeMs),
  );
  for (const [at, index] of indexes.entries()) {
    // Only the exact mode knows this id: the quarantine may hold a copy while no table does.
    const mayBeFiled = verdicts[index] === verdict.old && messages[at]?.fault === null;
    if (isQuarantined[at] && !mayBeFiled) verdicts[index] = verdict.duplicate;
    // The window may have forgotten this content, and know the other one since that came again.
    else if (verdicts[index] === verdict.reused && (keyed.exactOf[index] as number) >= 0)
      verdicts[index] = verdict.oldReused;
  }
  const fresh = await decideOld(context, keyed, verdicts);
  for (const [at, index] of indexes.entries()) {
    const said = fresh.get(index);
    if (said)
      verdicts[index] = fileUnlessFiled(cursor, keyed, { index, isQuarantined: said === "quarantined" });
    if (verdicts[index] !== verdict.reused && verdicts[index] !== verdict.unsure) continue;
    const message = messages[at] as JudgedMessage;
    const row = cursor.ids.find(words, at * KEY_WORDS);
    const isExact = (keyed.exactOf[index] as number) >= 0;
    const inBatch = row >= 0 ? cursor.ids.expiresAtSeconds(row) : 0;
    if (isQuarantined[at] || (isExact && row >= 0) || isLiving(inBatch, message.streamTimeMs))
      verdicts[index] = verdict.duplicate;
    else cursor.ids.set(words, at * KEY_WORDS, idFactsOf(message));
  }
  return "decided";
}

function contentKeys(context: ConsumerContext, messages: readonly JudgedMessage[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(messages.length * KEY_WORDS);
  const target = Buffer.from(words.buffer);
  for (const [at, { topic, row, contentHash }] of messages.entries()) {
    const id = { topicId: topic.topicId, deviceId: row.deviceId, messageId: row.messageId as Uint8Array };
    context.keys.write(target, at * DEDUP_KEY_BYTES, { ...id, contentHash });
  }
  return words;
}

const ofOld = {
  resend: verdict.oldDuplicate,
  reused: verdict.reused,
  unsure: verdict.unsure,
  quarantined: verdict.file,
  fresh: verdict.file,
} as const;

/** Resolves with those that no table holds though the exact mode knows their ids, by index. */
async function decideOld(
  context: ConsumerContext,
  keyed: KeyedMessages,
  verdicts: Uint8Array,
): Promise<ReadonlyMap<number, OldIdVerdict>> {
  const fresh = new Map<number, OldIdVerdict>();
  const isAsked = (index: number) => verdicts[index] === verdict.old || verdicts[index] === verdict.oldReused;
  const old = [...verdicts.keys()].filter(isAsked);
  if (old.length === 0) return fresh;
  const found = await lookUpOldIds(
    context,
    old.map((index) => keyed.messages[index] as JudgedMessage),
  );
  for (const [at, index] of old.entries()) {
    const said = found[at] as OldIdVerdict;
    // The window knows that a table has the id with other content, perhaps by a commit that the lake does not show yet.
    const isTaken = verdicts[index] === verdict.oldReused;
    const isThere = said === "resend" || said === "quarantined";
    verdicts[index] = isTaken ? (isThere ? verdict.oldDuplicate : verdict.reused) : ofOld[said];
    if (verdicts[index] === verdict.file) fresh.set(index, said);
  }
  return fresh;
}

/** Another message of the batch may have had the id before it. */
function fileUnlessFiled(
  cursor: PartitionCursor,
  keyed: KeyedMessages,
  { index, isQuarantined }: { readonly index: number; readonly isQuarantined: boolean },
): number {
  const { ids } = cursor;
  const { contentHash, fault } = keyed.messages[index] as JudgedMessage;
  const row = ids.find(keyed.words, (keyed.keyOf[index] as number) * KEY_WORDS);
  if (row >= 0)
    return isQuarantined || ids.contentHash(row) === contentHash ? verdict.oldDuplicate : verdict.reused;
  const contentKey = keyed.contentKeyOf[index];
  if (fault !== null && contentKey !== undefined && ids.find(keyed.words, contentKey * KEY_WORDS) >= 0)
    return verdict.oldDuplicate;
  remember({ cursor, keyed }, index);
  return verdict.file;
}
