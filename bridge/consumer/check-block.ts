import type { BlockHeader } from "../block/block-format.ts";
import type { Move, PartitionClock, ProducerMark } from "../storage/commit-log.ts";

/** A producer that was not seen for this much stream time is forgotten: one that was idle for half of it takes a new id anyway. */
export const PRODUCER_FORGOTTEN_AFTER_MS = 86_400_000;
/** Of more, those seen least lately are forgotten: a partition in which time hardly passes must not remember all there ever were. */
export const PRODUCERS_REMEMBERED_MAX = 1000;

/**
 * What to do with a block, judged by its header:
 * - `resent`: its sequence was seen already; dropped whole;
 * - `misrouted`: meant for another partition, and never acknowledged: its producer sends the messages again, to the right one; dropped
 *   whole;
 * - `forgotten`: of a producer whose mark may have been forgotten, so that its claim can't be checked; to be filed;
 * - `gap`: its producer had blocks acknowledged that were never read here, or in the ancestor that it was meant for (G8). `lostMessages`
 *   of them at least: the last block that was read is taken as acknowledged, which the producer alone knows.
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

/** Marks are kept per producer and meant partition; the partition's own are by far the most. */
export function markKey(header: BlockHeader, partition: number): string {
  return header.partition === partition ? header.producerId : `${header.producerId}@${header.partition}`;
}

/** The marks of a partition as those that took its place keep them. */
export function inheritedMarks(
  partition: number,
  { producers, streamTimeMs, clock }: Pick<Move, "producers" | "streamTimeMs" | "clock">,
  start: { readonly streamTimeMs: number; readonly clock: PartitionClock },
): [string, ProducerMark][] {
  const shiftMs = start.streamTimeMs - streamTimeMs;
  return Object.entries(producers).map(([key, { block, ...mark }]) => [
    key.includes("@") ? key : `${key}@${partition}`,
    {
      ...mark,
      seenAtMs: mark.seenAtMs + shiftMs,
      // Blocks are numbered by the clock that goes on.
      ...(block !== undefined && clock === start.clock && { block }),
    },
  ]);
}

/** The mark after a block was read, with where it stands in stream time. */
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

/** The mark that makes a producer's gap accepted: everything that the block claims was acknowledged counts as seen. */
export function markOfClaim(header: BlockHeader, streamTimeMs: number): ProducerMark {
  return {
    lastSequence: header.lastAcknowledgedSequence,
    ackedMessages: header.acknowledgedMessages,
    seenAtMs: streamTimeMs,
  };
}

export function isLivingMark({ seenAtMs }: ProducerMark, streamTimeMs: number): boolean {
  return seenAtMs >= streamTimeMs - PRODUCER_FORGOTTEN_AFTER_MS;
}

/** The marks that a commit keeps. @param marks In the order in which the producers were seen last. */
export function livingMarks(
  marks: ReadonlyMap<string, ProducerMark>,
  streamTimeMs: number,
): Record<string, ProducerMark> {
  const living = [...marks].filter(([, mark]) => isLivingMark(mark, streamTimeMs));
  return Object.fromEntries(living.slice(-PRODUCERS_REMEMBERED_MAX));
}
