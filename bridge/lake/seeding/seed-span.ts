import { partitionOfKey } from "../../streams/partition-key.ts";
import { rowLeadMaxMs } from "../../tail/stream-time.ts";
import type { LakeState } from "../commit-log/commit-log.ts";
import { allRows } from "../commit-log/past-partitions.ts";

/**
 * Stream time of the oldest row whose id a window may still know. Expiries are rounded up to whole seconds,
 * and rows may be ahead of their commit.
 */
export function spanStart(streamTimeMs: number, longestWindowMs: number): number {
  return streamTimeMs - longestWindowMs - 1000 - rowLeadMaxMs;
}

/**
 * By partition key: stream time of the oldest row that the seeding of any window may read. A partition that is
 * absent has no rows that a window needs. Bounds by committed stream times, so processes that are ahead of
 * them need less.
 */
export function seededSince(
  lake: Pick<LakeState, "moves" | "past">,
  longestWindowMs: number,
): ReadonlyMap<string, number> {
  const all = allRows(lake);
  const since = new Map([...all].map(([key, rows]) => [key, spanStart(rows.streamTimeMs, longestWindowMs)]));
  for (const [reader, { streamTimeMs, shifts }] of lake.moves) {
    if (streamTimeMs === 0) continue;
    const others = shifts ? Object.entries(shifts) : [...all.keys()].map((key) => [key, 0] as const);
    for (const [other, shiftMs] of others) {
      const rows = all.get(other);
      const own = since.get(other);
      if (!rows || own === undefined) continue;
      // A window reads no rows of a partition beside it in the same stream.
      const isBeside = partitionOfKey(other).streamId === partitionOfKey(reader).streamId && !rows.isEnded;
      if (!isBeside) since.set(other, Math.min(own, spanStart(streamTimeMs, longestWindowMs) - shiftMs));
    }
  }
  return since;
}
