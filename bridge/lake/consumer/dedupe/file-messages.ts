import { type ContentFault, contentFault } from "../../../decoders/quarantine-reason.ts";
import type { JudgedMessage } from "../../../tail/judge-message.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import { filingFailure } from "../guard/filing-guard.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";
import { decideMessages } from "./decide-messages.ts";
import { decideOpen } from "./decide-open.ts";
import { type KeyedMessages, withKeys } from "./keyed-messages.ts";
import { verdict } from "./message-verdict.ts";
import { unsureFault } from "./old-ids.ts";

const reusedFault = contentFault(
  "id-reused",
  "this device used the id before with another payload, event time or topic name: within the topic's dedupe window, or in exact mode at any time",
);

/**
 * Deduplicates messages of one partition, and adds them to the open batch in order.
 *
 * A message is a duplicate if its id came with the same content, and is unexpired in the window or the open
 * batch. With exact deduplication, it is also a duplicate if its id is the SDK's and the lake has the id with
 * this content, however old. Resolves with "superseded" if the window is not at the committed position any
 * more; then none of the verdicts counts.
 */
export async function fileMessages(
  context: ConsumerContext,
  cursor: PartitionCursor,
  judged: readonly JudgedMessage[],
): Promise<"filed" | "superseded"> {
  const messages = await context.filing.withUnwritable(cursor, judged);
  const keyed = withKeys(context.keys, messages);
  const verdicts = await verdictsOf(context, cursor, keyed);
  if (verdicts === null) return "superseded";
  let oldDuplicates = 0;
  for (const [index, message] of messages.entries()) {
    const outcome = verdicts[index];
    if (outcome === verdict.oldDuplicate) oldDuplicates += 1;
    if (outcome === verdict.duplicate || outcome === verdict.oldDuplicate) {
      cursor.counters.duplicates += 1;
      continue;
    }
    const isReused = outcome === verdict.reused || outcome === verdict.quarantine;
    const ownFault = outcome === verdict.unsure ? unsureFault : message.fault;
    // Awaited only if the writer returns a promise: an await per message would cost more than the message.
    const added = addRow(context, cursor, message, isReused ? reusedFault : ownFault);
    if (added) await added;
  }
  if (oldDuplicates > 0) context.metrics.oldDuplicates(oldDuplicates);
  return "filed";
}

/** Null if the window is not at the committed position. */
async function verdictsOf(
  context: ConsumerContext,
  cursor: PartitionCursor,
  keyed: KeyedMessages,
): Promise<Uint8Array | null> {
  const { bytes, exact, messages } = keyed;
  const hits = await context.window.lookup(cursor.partition, cursor.committed, bytes, exact.ids());
  if (hits === null) return null;
  const verdicts = new Uint8Array(messages.length);
  for (let from = 0; from < messages.length; ) {
    const to = decideMessages({ cursor, keyed, hits }, { verdicts, from });
    const outcome = await decideOpen(context, { cursor, keyed }, { verdicts, from, to });
    if (outcome === "superseded") return null;
    from = to;
  }
  return verdicts;
}

function addRow(
  context: ConsumerContext,
  cursor: PartitionCursor,
  message: JudgedMessage,
  fault: ContentFault | null,
): void | Promise<void> {
  const { topic, row, values } = message;
  context.windowAlarm.filed(row.deviceId);
  if (row.eventTimeOutside) context.outsideTimes.count(topic, row);
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
