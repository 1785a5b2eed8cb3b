import type { JudgedMessage } from "../../../tail/judge-message.ts";
import { dedupKeyBytes } from "../../window/dedup-window.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import { idFactsOf } from "../ids/id-facts.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";
import { isLiving, remember } from "./decide-messages.ts";
import { type KeyedMessages, wordsPerKey } from "./keyed-messages.ts";
import { isOpen, verdict } from "./message-verdict.ts";
import { lookUpOldIds, type OldIdVerdict } from "./old-ids.ts";

/**
 * Decides about ids that were reused, or may have been. An id with other content has its own key, so that
 * resends of that message are duplicates.
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
    // Only the exact mode knows this id: a copy may be in the quarantine only.
    const mayBeFiled = verdicts[index] === verdict.old && messages[at]?.fault === null;
    if (isQuarantined[at] && !mayBeFiled) verdicts[index] = verdict.duplicate;
    // The window may have forgotten this content, and know the other content because that was sent again.
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
    const row = cursor.ids.find(words, at * wordsPerKey);
    const isExact = (keyed.exactOf[index] as number) >= 0;
    const inBatch = row >= 0 ? cursor.ids.expiresAtSeconds(row) : 0;
    if (isQuarantined[at] || (isExact && row >= 0) || isLiving(inBatch, message.streamTimeMs))
      verdicts[index] = verdict.duplicate;
    else cursor.ids.set(words, at * wordsPerKey, idFactsOf(message));
  }
  return "decided";
}

function contentKeys(context: ConsumerContext, messages: readonly JudgedMessage[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(messages.length * wordsPerKey);
  const target = Buffer.from(words.buffer);
  for (const [at, { topic, row, contentHash }] of messages.entries()) {
    const id = { topicId: topic.topicId, deviceId: row.deviceId, messageId: row.messageId as Uint8Array };
    context.keys.write(target, at * dedupKeyBytes, { ...id, contentHash });
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

/** Resolves with the messages (by index) that no table holds although the exact mode knows their ids. */
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
    // The window knows that a table has the id with other content, perhaps by a commit that the table does
    // not show yet.
    const isTaken = verdicts[index] === verdict.oldReused;
    const isThere = said === "resend" || said === "quarantined";
    verdicts[index] = isTaken ? (isThere ? verdict.oldDuplicate : verdict.reused) : ofOld[said];
    if (verdicts[index] === verdict.file) fresh.set(index, said);
  }
  return fresh;
}

/** An earlier message of the batch may have the same id. */
function fileUnlessFiled(
  cursor: PartitionCursor,
  keyed: KeyedMessages,
  { index, isQuarantined }: { readonly index: number; readonly isQuarantined: boolean },
): number {
  const { ids } = cursor;
  const { contentHash, fault } = keyed.messages[index] as JudgedMessage;
  const row = ids.find(keyed.words, (keyed.keyOf[index] as number) * wordsPerKey);
  if (row >= 0)
    return isQuarantined || ids.contentHash(row) === contentHash ? verdict.oldDuplicate : verdict.reused;
  const contentKey = keyed.contentKeyOf[index];
  if (fault !== null && contentKey !== undefined && ids.find(keyed.words, contentKey * wordsPerKey) >= 0)
    return verdict.oldDuplicate;
  remember({ cursor, keyed }, index);
  return verdict.file;
}
