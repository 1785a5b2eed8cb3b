import type { BlockHeader, BlockMessage } from "../block/block-format.ts";
import { type DecodedBlock, decodeBlock } from "../block/decode-block.ts";
import { BridgeError } from "../errors.ts";
import type { Position, StreamEntry, StreamLog } from "../streams/stream-log.ts";
import type { TopicCatalog, TopicVersion } from "../topics/topic-catalog.ts";
import { type BlockReader, type BlockVerdict, checkBlock, markKey } from "./check-block.ts";
import type { JudgedMessage, MessageJudge, Place } from "./judge-message.ts";
import type { ProducerMark } from "./producer-mark.ts";
import type { RefusedBlock } from "./refused-block.ts";
import {
  beginAt,
  type PlacedBlock,
  placeBlock,
  placeFirstVersion,
  type StreamMoment,
} from "./stream-time.ts";

/** Limit of how far the append time of a version 1 block may lie ahead of the consumer's clock. */
const appendTimeAheadMaxMs = 60_000;
/** The end of the year 9999, the last moment that every reader of the tables can show. */
const ingestTimeMaxMs = 253_402_300_799_999;

/**
 * What judging depends on: neither deduplication nor filing, so that a live tail of the stream can judge
 * too.
 */
export interface JudgingPorts {
  readonly stream: Pick<StreamLog, "streamId">;
  readonly topics: Pick<TopicCatalog, "version">;
  readonly judge: MessageJudge;
  /** ms since the epoch. */
  readonly now: () => number;
}

/** The state of reading a partition. */
export interface JudgingReader extends BlockReader, StreamMoment {
  readonly position: Position;
  /** The mark of a producer; undefined if the producer is unknown. */
  markOf(key: string): ProducerMark | undefined;
}

export interface JudgedBlock {
  readonly block: DecodedBlock;
  /** Key of the producer's mark. */
  readonly key: string;
  readonly verdict: Exclude<BlockVerdict, { readonly kind: "gap" }>;
  readonly placed: PlacedBlock;
  readonly place: Place;
  /** One for each message; empty if the whole block is dropped. `SchemaChecks` checks the schemas later. */
  readonly messages: readonly JudgedMessage[];
}

/**
 * Decodes a block, checks it against its producer's earlier blocks, and judges its messages. Has no side
 * effects.
 */
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
    ingestTimeMs: Math.min(header.time?.wallMs ?? entry.appendTimeMs, ingestTimeMaxMs),
  };
  const isDropped = verdict.kind === "resent" || verdict.kind === "misrouted";
  const messages = isDropped ? [] : judgeMessages(context, block, place);
  if ("code" in messages) return messages;
  return { block, key, verdict, placed, place, messages };
}

/** The place of the block in stream time. */
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
    const appendTimeMs = Math.min(entry.appendTimeMs, context.now() + appendTimeAheadMaxMs);
    return placeFirstVersion(cursor, appendTimeMs);
  }
  const at = cursor.streamTimeMs === 0 ? beginAt(time.wallMs) : cursor;
  // A copy of a block tells nothing new about time.
  if (verdict.kind === "resent") return { ...at, rowTimeMs: at.streamTimeMs };
  return placeBlock(at, {
    boot: time.bootId,
    stampMs: time.stampMs,
    acknowledged: acknowledgedBlock(header, mark),
  });
}

/**
 * The block that the header says was acknowledged, if that is the producer's last block read; otherwise
 * null.
 */
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

/** The judged messages of the block, or why they can't be judged: a topic version is unknown. */
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
