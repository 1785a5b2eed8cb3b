import type { BlockHeader, BlockMessage } from "../block/block-format.ts";
import { type DecodedBlock, decodeBlock } from "../block/decode-block.ts";
import { BridgeError } from "../errors.ts";
import type { ProducerMark } from "../storage/commit-log.ts";
import type { Position, StreamEntry, StreamLog } from "../streams/stream-log.ts";
import { type BlockReader, type BlockVerdict, checkBlock, markKey } from "./check-block.ts";
import type { JudgedMessage, MessageJudge, Place } from "./judge-message.ts";
import type { RefusedBlock } from "./refused-block.ts";
import {
  beginAt,
  type PlacedBlock,
  placeBlock,
  placeFirstVersion,
  type StreamMoment,
} from "./stream-time.ts";
import type { TopicCatalog, TopicVersion } from "./topic-catalog.ts";

/** The append time of a block of version 1 counts as at most this far ahead of the consumer's clock. */
const APPEND_TIME_AHEAD_MAX_MS = 60_000;
/** The end of the year 9999: the last moment that every reader of the tables can show. */
const INGEST_TIME_MAX_MS = 253_402_300_799_999;

/** What judging takes: nothing of deduplication or filing, so that a tail of the stream that has neither can judge too. */
export interface JudgingPorts {
  readonly stream: Pick<StreamLog, "streamId">;
  readonly topics: Pick<TopicCatalog, "version">;
  readonly judge: MessageJudge;
  /** ms since the epoch. */
  readonly now: () => number;
}

/** How far a partition was read. */
export interface JudgingReader extends BlockReader, StreamMoment {
  readonly position: Position;
  /** What is known of a producer. */
  markOf(key: string): ProducerMark | undefined;
}

export interface JudgedBlock {
  readonly block: DecodedBlock;
  /** Of its producer's mark. */
  readonly key: string;
  readonly verdict: Exclude<BlockVerdict, { readonly kind: "gap" }>;
  readonly placed: PlacedBlock;
  readonly place: Place;
  /** One for each message of the block; none of a block that is dropped whole. Schemas are left to `SchemaChecks`. */
  readonly messages: readonly JudgedMessage[];
}

/** Opens a block, checks it against what its producer has sent before, and judges its messages. Changes nothing. */
export function judgeBlock(
  context: JudgingPorts,
  cursor: JudgingReader,
  entry: StreamEntry,
): JudgedBlock | RefusedBlock {
  const block = openBlock(context, entry);
  if ("code" in block) return block;
  const { header } = block;
  const key = markKey(header, cursor.partition);
  const mark = cursor.markOf(key);
  const verdict = checkBlock(header, mark, cursor);
  if (verdict.kind === "gap") return gapBefore(cursor, entry, verdict.lostMessages);
  const placed = placeInTime(context, cursor, { header, entry, mark, verdict });
  const place = {
    streamId: context.stream.streamId,
    partition: cursor.partition,
    position: entry.position,
    streamTimeMs: placed.streamTimeMs,
    rowTimeMs: placed.rowTimeMs,
    ingestTimeMs: Math.min(header.time?.wallMs ?? entry.appendTimeMs, INGEST_TIME_MAX_MS),
  };
  const isDropped = verdict.kind === "resent" || verdict.kind === "misrouted";
  const messages = isDropped ? [] : judgeMessages(context, block, place);
  if ("code" in messages) return messages;
  return { block, key, verdict, placed, place, messages };
}

/** Where the block stands in stream time. */
function placeInTime(
  context: JudgingPorts,
  cursor: JudgingReader,
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

function openBlock(context: JudgingPorts, entry: StreamEntry): DecodedBlock | RefusedBlock {
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

function gapBefore(cursor: JudgingReader, entry: StreamEntry, lostMessages: number): RefusedBlock {
  const message =
    `the block at ${entry.position} says that its producer had blocks acknowledged that were never read: ` +
    `at least ${lostMessages} acknowledged messages are missing before it`;
  return { code: "STREAM_GAP", message, position: entry.position, resumeAfter: cursor.position };
}

/** The block's messages, or which topic version is unknown. */
function judgeMessages(
  context: JudgingPorts,
  block: DecodedBlock,
  place: Place,
): JudgedMessage[] | RefusedBlock {
  const messages: JudgedMessage[] = [];
  let topic: TopicVersion | undefined;
  for (const [index, message] of block.messages.entries()) {
    if (!topic || !isOf(topic, message))
      topic = context.topics.version(message.topicId, message.topicVersion);
    if (!topic) {
      const text = `topic ${message.topicId} version ${message.topicVersion} is not known yet`;
      return { code: "TOPIC_UNKNOWN", message: text, position: place.position, resumeAfter: null };
    }
    messages.push(context.judge.judge(message, index, topic, place));
  }
  return messages;
}

function isOf(topic: TopicVersion, message: BlockMessage): boolean {
  return topic.version === message.topicVersion && topic.topicId === message.topicId;
}
