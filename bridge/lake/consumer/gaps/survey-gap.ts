import { decodeBlockHeader } from "../../../block/decode-block.ts";
import { BridgeError } from "../../../errors.ts";
import type { Position, StreamEntry, StreamLog } from "../../../streams/stream-log.ts";
import { checkBlock, markKey, markOfClaim } from "../../../tail/check-block.ts";
import type { GapSurvey } from "../../../tail/partition-halt.ts";
import type { ProducerMark } from "../../../tail/producer-mark.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";

/** How far after the gap its size is surveyed. */
const surveyLimits = { maxBytes: 4 * 1024 * 1024, maxEntries: 256 };

/**
 * Estimates a gap's size from the first block of each producer after it. Unreadable blocks count as nothing.
 */
export async function surveyGap(
  stream: StreamLog,
  cursor: PartitionCursor,
  resumeAfter: Position,
): Promise<GapSurvey> {
  const marks = new Map<string, ProducerMark>();
  const seen = new Set<string>();
  let unaccounted = 0;
  for (const entry of await readBehind(stream, cursor.partition, resumeAfter)) {
    const header = entry.isEnd ? null : readableHeader(entry.block);
    if (!header) break;
    if (header.streamId !== stream.streamId) continue;
    const key = markKey(header, cursor.partition);
    if (seen.has(key)) continue;
    const verdict = checkBlock(header, cursor.markOf(key), cursor);
    if (verdict.kind === "resent") continue;
    seen.add(key);
    if (verdict.kind !== "gap") continue;
    unaccounted += verdict.lostMessages;
    marks.set(key, markOfClaim(header, cursor.streamTimeMs));
  }
  return { resumeAfter, unaccounted, marks };
}

async function readBehind(stream: StreamLog, partition: number, after: Position): Promise<StreamEntry[]> {
  try {
    return await stream.read(partition, after, surveyLimits);
  } catch (error) {
    if (error instanceof BridgeError && error.code === "STREAM_GAP") return [];
    throw error;
  }
}

function readableHeader(block: Uint8Array) {
  try {
    return decodeBlockHeader(block);
  } catch (error) {
    if (error instanceof BridgeError) return null;
    throw error;
  }
}
