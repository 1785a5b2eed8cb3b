import type { BlockMessage } from "../block/block-format.ts";
import { type DecodedBlock, decodeBlock } from "../block/decode-block.ts";
import { BridgeError } from "../errors.ts";
import type { Position, StreamEntry } from "../streams/stream-log.ts";
import { checkBlock, markAfterBlock, markKey } from "./check-block.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import type { JudgedMessage } from "./judge-message.ts";
import { withOtherReadings } from "./other-readings.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import type { HaltCode } from "./partition-halt.ts";
import type { TopicVersion } from "./topic-catalog.ts";

/** Stream time is at most this far ahead of the consumer's clock. */
const STREAM_TIME_AHEAD_MAX_MS = 60_000;

/** Why a block could not be taken; nothing of it was. */
export interface RefusedBlock {
  readonly code: HaltCode;
  readonly message: string;
  readonly position: Position;
  /** Where an operator may let reading go on; null where nothing can be accepted. */
  readonly resumeAfter: Position | null;
  /** When it may be read after all; absent where only an operator or a new version can change that. */
  readonly retryInMs?: number;
}

export interface TakenBlocks {
  /** Messages to be deduplicated and filed, in order. */
  readonly messages: JudgedMessage[];
  readonly refused: RefusedBlock | null;
}

/** Takes blocks one after another into the cursor, up to the first that can't be. */
export function takeBlocks(
  context: ConsumerContext,
  cursor: PartitionCursor,
  entries: readonly StreamEntry[],
): TakenBlocks {
  const messages: JudgedMessage[] = [];
  for (const entry of entries) {
    const refused = takeBlock(context, cursor, entry, messages);
    if (refused) return { messages, refused };
  }
  return { messages, refused: null };
}

function takeBlock(
  context: ConsumerContext,
  cursor: PartitionCursor,
  entry: StreamEntry,
  messages: JudgedMessage[],
): RefusedBlock | null {
  if (entry.isEnd) {
    cursor.position = entry.position;
    return null;
  }
  const block = openBlock(context, entry);
  if ("code" in block) return block;
  const { header } = block;
  const key = markKey(header, cursor.partition);
  const verdict = checkBlock(header, cursor.producers.get(key), cursor);
  if (verdict.kind === "gap") return gapBefore(cursor, entry, verdict.lostMessages);
  const streamTimeMs = Math.max(
    cursor.streamTimeMs,
    Math.min(entry.appendTimeMs, context.now() + STREAM_TIME_AHEAD_MAX_MS),
  );
  if (verdict.kind === "fresh") {
    const unknown = judgeMessages(context, cursor, entry, { block, streamTimeMs, messages });
    if (unknown) return unknown;
  } else {
    cursor.counters[verdict.kind] += header.messageCount;
    const fields = { partition: cursor.partition, position: entry.position, messages: header.messageCount };
    context.logger.warn({ event: `consumer.block.${verdict.kind}`, ...fields }, "dropped a block whole");
  }
  if (!cursor.hasMoved) cursor.filedUpTo(Math.min(entry.appendTimeMs, context.now()));
  cursor.counters.read += header.messageCount;
  cursor.position = entry.position;
  cursor.streamTimeMs = streamTimeMs;
  cursor.openBytes += entry.block.length;
  cursor.openBlocks += 1;
  if (verdict.kind !== "resent") cursor.producers.set(key, markAfterBlock(header, streamTimeMs));
  return null;
}

function openBlock(context: ConsumerContext, entry: StreamEntry): DecodedBlock | RefusedBlock {
  const { position } = entry;
  try {
    const block = decodeBlock(entry.block);
    if (block.header.streamId === context.stream.streamId) return block;
    const message = `the block at ${position} belongs to stream ${block.header.streamId}, not to ${context.stream.streamId}`;
    return { code: "BLOCK_FOREIGN", message, position, resumeAfter: position };
  } catch (error) {
    if (!(error instanceof BridgeError)) throw error;
    const message = `at ${position}: ${error.message}`;
    if (error.code === "BLOCK_VERSION") return { code: error.code, message, position, resumeAfter: null };
    if (error.code === "BLOCK_CORRUPT") return { code: error.code, message, position, resumeAfter: position };
    throw error;
  }
}

function gapBefore(cursor: PartitionCursor, entry: StreamEntry, lostMessages: number): RefusedBlock {
  const message =
    `the block at ${entry.position} says that its producer had blocks acknowledged that were never read: ` +
    `at least ${lostMessages} acknowledged messages are missing before it`;
  return { code: "STREAM_GAP", message, position: entry.position, resumeAfter: cursor.position };
}

/** Adds the block's messages, or says which topic version is unknown. */
function judgeMessages(
  context: ConsumerContext,
  cursor: PartitionCursor,
  entry: StreamEntry,
  taken: { block: DecodedBlock; streamTimeMs: number; messages: JudgedMessage[] },
): RefusedBlock | null {
  const { partition } = cursor;
  const { position } = entry;
  const place = { streamId: context.stream.streamId, partition, position, streamTimeMs: taken.streamTimeMs };
  const { messages } = taken;
  const before = messages.length;
  let topic: TopicVersion | undefined;
  for (const [index, message] of taken.block.messages.entries()) {
    if (!topic || !isOf(topic, message))
      topic = context.topics.version(message.topicId, message.topicVersion);
    if (!topic) {
      messages.length = before;
      const text = `topic ${message.topicId} version ${message.topicVersion} is not known yet`;
      return { code: "TOPIC_UNKNOWN", message: text, position, resumeAfter: null };
    }
    const judged = context.judge.judge(message, index, topic, place);
    messages.push(withOtherReadings(context, cursor, judged, { message, index, place }));
  }
  return null;
}

function isOf(topic: TopicVersion, message: BlockMessage): boolean {
  return topic.version === message.topicVersion && topic.topicId === message.topicId;
}
