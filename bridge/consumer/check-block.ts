import type { BlockHeader } from "../block/block-format.ts";
import type { ProducerMark } from "../storage/commit-log.ts";

/** A producer that was not seen for this much stream time is forgotten: one that was idle for an hour takes a new id anyway. */
export const PRODUCER_FORGOTTEN_AFTER_MS = 86_400_000;

/**
 * What to do with a block, judged by its header:
 * - `resent`: its sequence was seen already; dropped whole;
 * - `misrouted`: meant for another partition, and never acknowledged: its producer sends the messages again, to the right one; dropped
 *   whole;
 * - `gap`: its producer had blocks acknowledged that were never read here, or in the ancestor that it was meant for (G8). `lostMessages`
 *   of them at least: the last block that was read is taken as acknowledged, which the producer alone knows.
 */
export type BlockVerdict =
  | { readonly kind: "fresh" | "resent" | "misrouted" }
  | { readonly kind: "gap"; readonly lostMessages: number };

const fresh: BlockVerdict = { kind: "fresh" };
const resent: BlockVerdict = { kind: "resent" };
const misrouted: BlockVerdict = { kind: "misrouted" };

export function checkBlock(
  header: BlockHeader,
  mark: ProducerMark | undefined,
  { partition, ancestors }: { readonly partition: number; readonly ancestors: ReadonlySet<number> },
): BlockVerdict {
  const lastSequence = mark?.lastSequence ?? 0;
  if (header.sequence <= lastSequence) return resent;
  const isOurs = header.partition === partition;
  if (!isOurs && !ancestors.has(header.partition)) return misrouted;
  if (header.lastAcknowledgedSequence <= lastSequence) return isOurs ? fresh : misrouted;
  return { kind: "gap", lostMessages: Math.max(0, header.acknowledgedMessages - (mark?.ackedMessages ?? 0)) };
}

/** Marks are kept per producer and meant partition; the partition's own are by far the most. */
export function markKey(header: BlockHeader, partition: number): string {
  return header.partition === partition ? header.producerId : `${header.producerId}@${header.partition}`;
}

/** The marks of a partition as those that took its place keep them. */
export function inheritedMarks(
  partition: number,
  marks: Readonly<Record<string, ProducerMark>>,
): [string, ProducerMark][] {
  return Object.entries(marks).map(([key, mark]) => [key.includes("@") ? key : `${key}@${partition}`, mark]);
}

/** The mark after a block was read. */
export function markAfterBlock(header: BlockHeader, streamTimeMs: number): ProducerMark {
  return {
    lastSequence: header.sequence,
    ackedMessages: header.acknowledgedMessages + header.messageCount,
    seenAtMs: streamTimeMs,
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

/** The marks that a commit keeps. */
export function livingMarks(
  marks: ReadonlyMap<string, ProducerMark>,
  streamTimeMs: number,
): Record<string, ProducerMark> {
  const oldestMs = streamTimeMs - PRODUCER_FORGOTTEN_AFTER_MS;
  return Object.fromEntries([...marks].filter(([, mark]) => mark.seenAtMs >= oldestMs));
}
