import { decodeBlockHeader } from "../block/decode-block.ts";
import { BridgeError } from "../errors.ts";
import type { CommittedMove, CommittedMoves } from "./committed-moves.ts";
import { partitionKey } from "./partition-key.ts";
import { type FixedStreamLog, startPosition } from "./stream-log.ts";

/**
 * Records that a stream holds and the lake does not. Counts blocks with messages; copies of resent blocks
 * count once.
 */
export interface UnreadRecords {
  readonly blocks: number;
  readonly messages: number;
}

/** The stream that an operator replaced by a new one. */
export interface StreamReplacement {
  /** null if no stream could be read there. */
  readonly replaces: string | null;
  /** Acknowledged records that were given up and will never be filed; null = unknown. */
  readonly unread: UnreadRecords | null;
  readonly atMs: number;
}

export const nothingUnread: UnreadRecords = { blocks: 0, messages: 0 };

export type CountedStream = Pick<
  FixedStreamLog,
  "streamId" | "partitionCount" | "partitionState" | "comparePositions" | "read"
>;

const readLimits = { maxBytes: 8 * 1024 * 1024, maxEntries: 1024 } as const;

/**
 * Counts the records that the lake lacks; null if blocks after the lake's positions are lost or damaged. The
 * stream must not grow meanwhile.
 */
export async function countUnread(
  stream: CountedStream,
  lake: CommittedMoves,
): Promise<UnreadRecords | null> {
  const total = { blocks: 0, messages: 0 };
  try {
    for (let partition = 0; partition < stream.partitionCount; partition++) {
      const move = lake.moves.get(partitionKey(stream.streamId, partition));
      const unread = await countPartition(stream, partition, move);
      if (!unread) return null;
      total.blocks += unread.blocks;
      total.messages += unread.messages;
    }
    return total;
  } catch (error) {
    if (error instanceof BridgeError && !error.retryable) return null;
    throw error;
  }
}

async function countPartition(
  stream: CountedStream,
  partition: number,
  move: CommittedMove | undefined,
): Promise<UnreadRecords | null> {
  const lastSequences = new Map(
    Object.entries(move?.producers ?? {}).map(([producer, { lastSequence }]) => [producer, lastSequence]),
  );
  let after = move?.to ?? startPosition;
  let blocks = 0;
  let messages = 0;
  const { highest } = await stream.partitionState(partition);
  if (stream.comparePositions(highest, after) < 0) return null;
  while (stream.comparePositions(after, highest) < 0) {
    const entries = await stream.read(partition, after, readLimits);
    for (const { position, block } of entries) {
      const { producerId, sequence, messageCount } = decodeBlockHeader(block);
      after = position;
      if (messageCount === 0 || sequence <= (lastSequences.get(producerId) ?? 0)) continue;
      lastSequences.set(producerId, sequence);
      blocks++;
      messages += messageCount;
    }
    if (entries.length === 0) return null;
  }
  return { blocks, messages };
}

/** null if the stream is the first at its place, or if the stream before had no unfiled records. */
export function replacementOf(record: {
  readonly startedAnew: boolean;
  readonly createdAtMs: number;
  readonly replaces: string | null;
  readonly unread: UnreadRecords | null;
}): StreamReplacement | null {
  const { startedAnew, replaces, unread, createdAtMs } = record;
  if (!startedAnew || (replaces === null && unread !== null)) return null;
  return { replaces, unread, atMs: createdAtMs };
}
