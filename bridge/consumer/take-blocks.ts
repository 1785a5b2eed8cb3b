import type { BlockHeader, BlockMessage } from "../block/block-format.ts";
import { type DecodedBlock, decodeBlock } from "../block/decode-block.ts";
import { BridgeError } from "../errors.ts";
import type { ProducerMark } from "../storage/commit-log.ts";
import type { Position, StreamEntry } from "../streams/stream-log.ts";
import { type BlockVerdict, checkBlock, markAfterBlock, markKey } from "./check-block.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import type { JudgedMessage } from "./judge-message.ts";
import { withOtherReadings } from "./other-readings.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import type { HaltCode } from "./partition-halt.ts";
import { beginAt, type PlacedBlock, placeBlock, placeFirstVersion } from "./stream-time.ts";
import type { TopicVersion } from "./topic-catalog.ts";

/** The append time of a block of version 1 counts as at most this far ahead of the consumer's clock. */
const APPEND_TIME_AHEAD_MAX_MS = 60_000;
/** The end of the year 9999: the last moment that every reader of the tables can show. */
const INGEST_TIME_MAX_MS = 253_402_300_799_999;

/** Why a block could not be taken; nothing of it was. */
export interface RefusedBlock {
  readonly code: HaltCode;
  readonly message: string;
  readonly position: Position;
  /** Where an operator may let reading go on; null where nothing can be accepted. */
  readonly resumeAfter: Position | null;
  /** What was thrown, for the log. */
  readonly cause?: unknown;
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
    const before = messages.length;
    const refused = takeOrRefuse(context, cursor, entry, messages);
    if (!refused) continue;
    messages.length = before;
    return { messages, refused };
  }
  return { messages, refused: null };
}

/** A fault of ours costs the partition, not the process: others go on. Until the block is judged the cursor stays as it is. */
function takeOrRefuse(
  context: ConsumerContext,
  cursor: PartitionCursor,
  entry: StreamEntry,
  messages: JudgedMessage[],
): RefusedBlock | null {
  try {
    return takeBlock(context, cursor, entry, messages);
  } catch (error) {
    const { position } = entry;
    const message = `the block at ${position} can't be read for a fault of Tidegate: ${String(error)}`;
    return { code: "BLOCK_POISON", message, position, resumeAfter: position, cause: error };
  }
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
  const mark = cursor.markOf(key);
  const verdict = checkBlock(header, mark, cursor);
  if (verdict.kind === "gap") return gapBefore(cursor, entry, verdict.lostMessages);
  const placed = placeInTime(context, cursor, { header, entry, mark, verdict });
  if (verdict.kind === "fresh" || verdict.kind === "forgotten") {
    const unknown = judgeMessages(context, cursor, entry, { block, placed, messages });
    if (unknown) return unknown;
    if (verdict.kind === "forgotten") tellForgotten(context, cursor, entry, header);
  } else {
    cursor.counters[verdict.kind] += header.messageCount;
    const fields = { partition: cursor.partition, position: entry.position, messages: header.messageCount };
    context.logger.warn({ event: `consumer.block.${verdict.kind}`, ...fields }, "dropped a block whole");
  }
  const appendedAtMs = context.elapsedMs() - ageOf(entry, header, context.now());
  if (!cursor.hasMoved) cursor.filedUpTo(appendedAtMs);
  cursor.counters.read += header.messageCount;
  cursor.position = entry.position;
  cursor.readUpToMs = appendedAtMs;
  cursor.streamTimeMs = placed.streamTimeMs;
  cursor.clock = placed.clock;
  cursor.openBytes += entry.block.length;
  cursor.openBlocks += 1;
  if (verdict.kind !== "resent") {
    // The newest ones stand last.
    cursor.producers.delete(key);
    const { streamTimeMs, clock } = placed;
    cursor.producers.set(key, markAfterBlock(header, { streamTimeMs, block: clock.blocks }));
  }
  return null;
}

/**
 * For how long the block has stood in the stream, ms. Wall clocks are compared here alone; later steps of either change nothing. Redis holds
 * on to the time of a clock that was ahead until it has caught up: the producer's then says more.
 */
function ageOf({ appendTimeMs }: StreamEntry, { time }: BlockHeader, nowMs: number): number {
  const sinceMs = appendTimeMs > nowMs && time ? time.wallMs : appendTimeMs;
  return Math.max(0, nowMs - sinceMs);
}

/** Where the block stands in stream time. */
function placeInTime(
  context: ConsumerContext,
  cursor: PartitionCursor,
  taken: {
    readonly header: BlockHeader;
    readonly entry: StreamEntry;
    readonly mark: ProducerMark | undefined;
    readonly verdict: BlockVerdict;
  },
): PlacedBlock {
  const { header, entry, mark, verdict } = taken;
  const { time } = header;
  if (!time) {
    const appendTimeMs = Math.min(entry.appendTimeMs, context.now() + APPEND_TIME_AHEAD_MAX_MS);
    return placeFirstVersion(cursor, appendTimeMs);
  }
  const at = cursor.streamTimeMs === 0 ? beginAt(time.wallMs) : cursor;
  // A copy says nothing that its first one has not said.
  if (verdict.kind === "resent") return { ...at, rowTimeMs: at.streamTimeMs };
  return placeBlock(at, {
    boot: time.bootId,
    stampMs: time.stampMs,
    acknowledged: acknowledgedBlock(header, mark),
  });
}

/** The block that the header says was acknowledged, if it is the one that was read last of its producer. */
function acknowledgedBlock({ time, lastAcknowledgedSequence }: BlockHeader, mark: ProducerMark | undefined) {
  if (!time || time.acknowledgedAtMs === 0 || mark?.lastSequence !== lastAcknowledgedSequence) return null;
  if (mark.block === undefined) return null;
  return { stampMs: time.acknowledgedAtMs, streamTimeMs: mark.seenAtMs, block: mark.block };
}

function tellForgotten(
  context: ConsumerContext,
  cursor: PartitionCursor,
  { position }: StreamEntry,
  { producerId, acknowledgedMessages }: BlockHeader,
): void {
  context.metrics.forgottenProducer();
  const fields = { partition: cursor.partition, position, producerId, acknowledgedMessages };
  context.logger.warn(
    { event: "consumer.producer.forgotten", ...fields },
    "a block was sealed so long before it came that its producer may have been forgotten: what it says was acknowledged is not checked",
  );
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
  taken: { block: DecodedBlock; placed: PlacedBlock; messages: JudgedMessage[] },
): RefusedBlock | null {
  const { partition } = cursor;
  const { position } = entry;
  const { messages, block, placed } = taken;
  const place = {
    streamId: context.stream.streamId,
    partition,
    position,
    streamTimeMs: placed.streamTimeMs,
    rowTimeMs: placed.rowTimeMs,
    ingestTimeMs: Math.min(block.header.time?.wallMs ?? entry.appendTimeMs, INGEST_TIME_MAX_MS),
  };
  let topic: TopicVersion | undefined;
  for (const [index, message] of block.messages.entries()) {
    if (!topic || !isOf(topic, message))
      topic = context.topics.version(message.topicId, message.topicVersion);
    if (!topic) {
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
