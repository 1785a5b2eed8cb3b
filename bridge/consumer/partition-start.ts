import { type LakeState, type Move, type PartitionClock, partitionOfKey } from "../storage/commit-log.ts";
import { allRows, ROWS_WANTED_MS } from "../storage/past-partitions.ts";
import { appendClock, mergedClock } from "./stream-time.ts";

type KeyedMove = readonly [key: string, move: Move];

/** Where the stream time of a partition goes on that was never read, and how that of others compares with it (see Move). */
export interface PartitionStart {
  readonly streamTimeMs: number;
  readonly clock: PartitionClock;
  readonly shifts: Readonly<Record<string, number>>;
}

/**
 * What came before it has ended: as far as anybody can prove, just now. So the end of each part is the new one's beginning, and its rows are
 * shifted by what it lacks. One parent's time goes on with its clocks; after several, boots have to prove their clocks again.
 * @param before Moves by partition key; none: there is nothing to go on from.
 */
export function startAfter(before: readonly KeyedMove[], lake: LakeState): PartitionStart | null {
  const read = before.filter(([, { streamTimeMs }]) => streamTimeMs > 0);
  const [first, second] = read;
  if (!first) return null;
  const streamTimeMs = Math.max(...read.map(([, move]) => move.streamTimeMs));
  const clock = second
    ? mergedClock(
        streamTimeMs,
        read.map(([key, move]) => ({ ...move, partition: partitionOfKey(key).partition })),
      )
    : (first[1].clock ?? appendClock(streamTimeMs));
  return { streamTimeMs, clock, shifts: shiftsTo(streamTimeMs, read, lake) };
}

/** The partitions of the stream that the lake went on from: that which was committed last, of those that are not `streamId`. */
export function partitionsOfStreamBefore(streamId: string, lake: LakeState): KeyedMove[] {
  const others = [...lake.moves].filter(([key]) => partitionOfKey(key).streamId !== streamId);
  const [last] = others.toSorted(([, left], [, right]) => (right.commit ?? 0) - (left.commit ?? 0));
  const before = last && partitionOfKey(last[0]).streamId;
  return others.filter(([key]) => partitionOfKey(key).streamId === before);
}

/** Of all whose rows may still be in the new one's window: those before it, and what each of those had to know. One that ended without rows has none. */
function shiftsTo(
  streamTimeMs: number,
  before: readonly KeyedMove[],
  lake: LakeState,
): Record<string, number> {
  const shifts: Record<string, number> = {};
  const rows = allRows(lake);
  const shift = (key: string, byMs: number) => {
    const endsAtMs = (rows.get(key)?.streamTimeMs ?? Number.NEGATIVE_INFINITY) + byMs;
    if (endsAtMs >= streamTimeMs - ROWS_WANTED_MS) shifts[key] = Math.max(byMs, shifts[key] ?? 0);
  };
  for (const [key, move] of before) {
    const behindMs = streamTimeMs - move.streamTimeMs;
    shift(key, behindMs);
    const earlier = move.shifts ?? Object.fromEntries([...rows.keys()].map((other) => [other, 0]));
    for (const [other, otherMs] of Object.entries(earlier)) shift(other, otherMs + behindMs);
  }
  return shifts;
}
