import type { BlockMessage } from "../../block/block-format.ts";
import type { JudgedMessage, OtherReading, Place } from "../../tail/judge-message.ts";
import { isReadAlike } from "../../tail/name-readings.ts";
import { rowLeadMaxMs } from "../../tail/stream-time.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import type { PartitionCursor } from "./partitions/partition-cursor.ts";

/**
 * The message with its readings by other topics, because a first copy may be known under their ids.
 *
 * Three events start a look-up of other readings: the known topics changed, reading of the partition started,
 * or a message was judged by other topics than the known ones. The look-up lasts for the longest dedupe
 * window of all topics, in stream time. That covers all copies. A copy filed by another topic was filed
 * before the change became known here, or was itself judged by other topics. A message of that kind, for
 * example from a gateway that does not know the change yet, is always looked up under all readings.
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
  const untilMs = cursor.topicsChangedAtMs + topics.longestWindowMs() + 1000 + rowLeadMaxMs;
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
