import type { BlockMessage } from "../block/block-format.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import type { JudgedMessage, OtherReading, Place } from "./judge-message.ts";
import { isReadAlike } from "./name-readings.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { ROW_LEAD_MAX_MS } from "./stream-time.ts";

/**
 * The message with its readings by other topics, under whose ids a first copy of it may be known.
 *
 * They are looked for during one dedupe window of stream time (the longest one there is) after the topics known have changed, after the
 * start of reading the partition, and after each message that was judged by other topics than those known. That covers all: a copy filed
 * by another topic was filed before the change became known here, or itself was such a message. A message of the latter kind, as from a
 * gateway that has not heard of the change, is always looked for under all readings.
 */
export function withOtherReadings(
  context: ConsumerContext,
  cursor: PartitionCursor,
  judged: JudgedMessage,
  from: { readonly message: BlockMessage; readonly index: number; readonly place: Place },
): JudgedMessage {
  const { readings, topics } = context;
  const { topic } = judged;
  const { streamTimeMs } = from.place;
  if (cursor.topicsSeen !== readings.size) {
    cursor.topicsSeen = readings.size;
    cursor.topicsChangedAtMs = streamTimeMs;
  }
  if (!readings.hasRivals(topic)) return judged;
  const { topicName } = from.message;
  const isCurrent = readings.isCurrent(topic, topicName);
  if (!isCurrent) cursor.topicsChangedAtMs = streamTimeMs;
  // Expiries are rounded up to whole seconds, and rows may be ahead of stream time.
  const untilMs = cursor.topicsChangedAtMs + topics.longestWindowMs() + 1000 + ROW_LEAD_MAX_MS;
  if (isCurrent && streamTimeMs > untilMs) return judged;
  const others = readings.others(topic, topicName).flatMap((other): OtherReading[] => {
    const { topicId } = other;
    const read = isReadAlike(other, topic)
      ? judged
      : context.judge.judge(from.message, from.index, other, from.place);
    const { messageId } = read.row;
    return messageId === null ? [] : [{ topicId, messageId, contentHash: read.contentHash }];
  });
  return others.length > 0 ? { ...judged, others } : judged;
}
