import type { BlockHeader } from "../block/block-format.ts";
import type { PartitionClock } from "./partition-clock.ts";
import type { ProducerMark } from "./producer-mark.ts";

/**
 * Stream time after which an unseen producer is forgotten. A producer takes a new id after half of this time
 * without blocks.
 */
export const producerForgottenAfterMs = 86_400_000;
/**
 * Producers remembered per partition, the latest ones. Without this bound, a partition with slow stream time
 * would remember all producers.
 */
export const producersRememberedMax = 1000;

/**
 * What to do with a block, by its header:
 * - `resent`: its sequence was seen before. The consumer drops the block.
 * - `misrouted`: meant for another partition and never acknowledged. The producer resends the messages to
 *   the right one, so the consumer drops the block.
 * - `forgotten`: the producer's mark may have been forgotten, so the claim can't be checked. The consumer
 *   files the block.
 * - `gap`: its producer had blocks acknowledged that were never read in this partition, nor in the ancestor
 *   they were meant for (G8). `lostMessages` is the least number of lost messages. It assumes that the last
 *   block read was acknowledged; only the producer knows.
 */
export type BlockVerdict =
  | { readonly kind: "fresh" | "resent" | "misrouted" | "forgotten" }
  | { readonly kind: "gap"; readonly lostMessages: number };

const fresh: BlockVerdict = { kind: "fresh" };
const resent: BlockVerdict = { kind: "resent" };
const misrouted: BlockVerdict = { kind: "misrouted" };
const forgotten: BlockVerdict = { kind: "forgotten" };

/** The partition that a block was read from. */
export interface BlockReader {
  readonly partition: number;
  readonly ancestors: ReadonlySet<number>;
  mayHaveForgotten(header: BlockHeader): boolean;
}

export function checkBlock(
  header: BlockHeader,
  mark: ProducerMark | undefined,
  reader: BlockReader,
): BlockVerdict {
  const { partition, ancestors } = reader;
  const lastSequence = mark?.lastSequence ?? 0;
  if (header.sequence <= lastSequence) return resent;
  const isOurs = header.partition === partition;
  if (!isOurs && !ancestors.has(header.partition)) return misrouted;
  if (header.lastAcknowledgedSequence <= lastSequence) return isOurs ? fresh : misrouted;
  if (!mark && reader.mayHaveForgotten(header)) return isOurs ? forgotten : misrouted;
  return { kind: "gap", lostMessages: Math.max(0, header.acknowledgedMessages - (mark?.ackedMessages ?? 0)) };
}

/**
 * Key of a mark: one for each producer and partition that its blocks are meant for. The common case, the
 * partition itself, has the shorter key.
 */
export function markKey(header: BlockHeader, partition: number): string {
  return header.partition === partition ? header.producerId : `${header.producerId}@${header.partition}`;
}

/** The state that a partition that ended leaves to its successors. */
interface FiledPartition {
  readonly producers: Readonly<Record<string, ProducerMark>>;
  readonly streamTimeMs: number;
  readonly clock?: PartitionClock;
}

/** The marks of an ended partition, as its successors keep them. */
export function inheritedMarks(
  partition: number,
  { producers, streamTimeMs, clock }: FiledPartition,
  start: { readonly streamTimeMs: number; readonly clock: PartitionClock },
): [string, ProducerMark][] {
  const shiftMs = start.streamTimeMs - streamTimeMs;
  return Object.entries(producers).map(([key, { block, ...mark }]) => [
    key.includes("@") ? key : `${key}@${partition}`,
    {
      ...mark,
      seenAtMs: mark.seenAtMs + shiftMs,
      // Block numbers are valid only in the clock that assigned them.
      ...(block !== undefined && clock === start.clock && { block }),
    },
  ]);
}

/** The mark of a producer after its block was read. */
export function markAfterBlock(
  header: BlockHeader,
  { streamTimeMs, block }: { readonly streamTimeMs: number; readonly block: number },
): ProducerMark {
  return {
    lastSequence: header.sequence,
    ackedMessages: header.acknowledgedMessages + header.messageCount,
    seenAtMs: streamTimeMs,
    block,
  };
}

/**
 * The mark that accepts a producer's gap: all blocks that this block claims as acknowledged count as seen.
 */
export function markOfClaim(header: BlockHeader, streamTimeMs: number): ProducerMark {
  return {
    lastSequence: header.lastAcknowledgedSequence,
    ackedMessages: header.acknowledgedMessages,
    seenAtMs: streamTimeMs,
  };
}

export function isLivingMark({ seenAtMs }: ProducerMark, streamTimeMs: number): boolean {
  return seenAtMs >= streamTimeMs - producerForgottenAfterMs;
}

/**
 * The marks that a commit keeps.
 * @param marks Ordered by when the producers were last seen.
 */
export function livingMarks(
  marks: ReadonlyMap<string, ProducerMark>,
  streamTimeMs: number,
): Record<string, ProducerMark> {
  const living = [...marks].filter(([, mark]) => isLivingMark(mark, streamTimeMs));
  return Object.fromEntries(living.slice(-producersRememberedMax));
}
