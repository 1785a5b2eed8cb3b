import { partitionOfKey } from "../../../streams/partition-key.ts";
import type { PartitionClock } from "../../../tail/partition-clock.ts";
import { appendClock, mergedClock } from "../../../tail/stream-time.ts";
import type { LakeState, Move } from "../../commit-log/commit-log.ts";
import { allRows, rowsWantedMs } from "../../commit-log/past-partitions.ts";

type KeyedMove = readonly [key: string, move: Move];

/**
 * Where the stream time of a new partition starts, and how that of other partitions compares with it (see
 * `Move.shifts`).
 */
export interface PartitionStart {
  readonly streamTimeMs: number;
  readonly clock: PartitionClock;
  readonly shifts: Readonly<Record<string, number>>;
}

/**
 * The start of a partition after its predecessors. They have ended, as far as anyone can prove, just now. So
 * their ends are the new partition's start, and each predecessor's rows are shifted by its distance to the
 * latest end. After one parent, its clocks continue; after several, boots have to prove their clocks again.
 *
 * Returns null if there are no predecessors with blocks.
 * @param before Moves by partition key.
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

/**
 * The partitions of the stream that the lake used before `streamId`: the one with the newest commit among all
 * other streams.
 */
export function partitionsOfStreamBefore(streamId: string, lake: LakeState): KeyedMove[] {
  const others = [...lake.moves].filter(([key]) => partitionOfKey(key).streamId !== streamId);
  const [last] = others.toSorted(([, left], [, right]) => (right.commit ?? 0) - (left.commit ?? 0));
  const before = last && partitionOfKey(last[0]).streamId;
  return others.filter(([key]) => partitionOfKey(key).streamId === before);
}

/**
 * Shifts of all partitions whose rows may be in the new one's window: the predecessors, and those that their
 * windows had to know. Partitions that ended without rows are left out.
 */
function shiftsTo(
  streamTimeMs: number,
  before: readonly KeyedMove[],
  lake: LakeState,
): Record<string, number> {
  const shifts: Record<string, number> = {};
  const rows = allRows(lake);
  const shift = (key: string, byMs: number) => {
    const endsAtMs = (rows.get(key)?.streamTimeMs ?? Number.NEGATIVE_INFINITY) + byMs;
    if (endsAtMs >= streamTimeMs - rowsWantedMs) shifts[key] = Math.max(byMs, shifts[key] ?? 0);
  };
  for (const [key, move] of before) {
    const behindMs = streamTimeMs - move.streamTimeMs;
    shift(key, behindMs);
    const earlier = move.shifts ?? Object.fromEntries([...rows.keys()].map((other) => [other, 0]));
    for (const [other, otherMs] of Object.entries(earlier)) shift(other, otherMs + behindMs);
  }
  return shifts;
}
