import { partitionKey, partitionOfKey } from "../../streams/partition-key.ts";
import { endPosition, startPosition } from "../../streams/stream-log.ts";
import {
  type LakeState,
  type Move,
  noCounters,
  type PartitionCounters,
  type PastPartitions,
  type PastRows,
} from "./commit-log.ts";

type Held = Pick<LakeState, "moves" | "past">;

/** Stream time. Longer than any dedupe window, which is 7 d at most: older rows are in no window. */
export const rowsWantedMs = 8 * 86_400_000;

/** The move of a past partition, for callers that do not know past partitions: read to its end. */
const pastMove: Move = {
  from: endPosition,
  to: endPosition,
  streamTimeMs: 0,
  producers: {},
  counters: noCounters,
};

/** The last move of a partition; undefined if the lake does not know the partition. */
export function moveOf(lake: Held, key: string): Move | undefined {
  return lake.moves.get(key) ?? (isPast(lake, key) ? pastMove : undefined);
}

export function isPast({ past }: Held, key: string): boolean {
  const { streamId, partition } = partitionOfKey(key);
  const ranges = past.get(streamId)?.ranges ?? [];
  return ranges.some(([first, last]) => first <= partition && partition <= last);
}

/** How many partitions of a stream are past, and the sum of their counters. */
export function pastBooks(
  { past }: Held,
  streamId: string,
): { readonly partitions: number; readonly counters: PartitionCounters } {
  const { ranges = [], counters = noCounters } = past.get(streamId) ?? {};
  return { partitions: ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0), counters };
}

/** How far a partition has rows that a window may have to know. */
export interface RowsOfPartition extends PastRows {
  readonly isEnded: boolean;
}

/**
 * Undefined if no window needs rows of this partition: it ended without rows, its rows are too old, or the
 * lake does not know it.
 */
export function rowsOf({ moves, past }: Held, key: string): RowsOfPartition | undefined {
  const move = moves.get(key);
  if (move) return rowsOfMove(move);
  const { streamId, partition } = partitionOfKey(key);
  const rows = past.get(streamId)?.rows[partition];
  return rows && { ...rows, isEnded: true };
}

/** By partition key. */
export function allRows({ moves, past }: Held): Map<string, RowsOfPartition> {
  const all = new Map<string, RowsOfPartition>();
  for (const [key, move] of moves) {
    const rows = rowsOfMove(move);
    if (rows) all.set(key, rows);
  }
  for (const [streamId, { rows }] of past)
    for (const [partition, each] of Object.entries(rows))
      all.set(partitionKey(streamId, Number(partition)), { ...each, isEnded: true });
  return all;
}

function rowsOfMove({ to, streamTimeMs, commit = 0, counters }: Move): RowsOfPartition | undefined {
  const isEnded = to === endPosition;
  const hasNone = counters.filed + counters.quarantined === 0;
  return isEnded && hasNone ? undefined : { streamTimeMs, commit, isEnded };
}

/**
 * The past partitions after an entry. Deterministic, because all processes and snapshots must agree; so a
 * change needs a new LAKE_FORMAT.
 *
 * Partitions end for as long as a stream lives, and a move with 100 producers takes 11 kB of each snapshot. A
 * partition is past once the lake holds it to its end and all of its successors have begun. From then on, the
 * successors' moves carry its producers, its clock and its place in time, and only its rows are still needed.
 * The entries alone decide this, never a clock: a successor may begin at any later time.
 *
 * If one successor is known, all are, because one entry records them all (`Move.parents`). Partitions whose
 * successors were recorded by older versions stay as they are.
 * @param moves After the entry. Partitions that become past are removed from it.
 * @param before The past partitions before the entry.
 */
export function leavePast(moves: Map<string, Move>, before: LakeState["past"]): LakeState["past"] {
  const taken = takenOver(moves);
  let past = before;
  if (taken.length > 0) {
    const grown = new Map(before);
    for (const [key, move] of taken) {
      const { streamId, partition } = partitionOfKey(key);
      grown.set(streamId, withPartition(grown.get(streamId), partition, move));
      moves.delete(key);
    }
    past = grown;
  }
  return withoutOldRows(moves, past);
}

/** Partitions that are read to their end and whose successors have all begun. */
function takenOver(moves: ReadonlyMap<string, Move>): [string, Move][] {
  const ended = [...moves].filter(([, { to }]) => to === endPosition);
  if (ended.length === 0) return [];
  const replaced = new Set<string>();
  const awaited = new Set<string>();
  for (const [key, { parents = [], to }] of moves)
    for (const parent of parents) {
      const parentKey = partitionKey(partitionOfKey(key).streamId, parent);
      replaced.add(parentKey);
      if (to === startPosition) awaited.add(parentKey);
    }
  return ended.filter(([key]) => replaced.has(key) && !awaited.has(key));
}

function withPartition(past: PastPartitions | undefined, partition: number, move: Move): PastPartitions {
  const { ranges = [], counters = noCounters, rows = {} } = past ?? {};
  const own = rowsOfMove(move);
  return {
    ranges: withNumber(ranges, partition),
    counters: sumOf(counters, move.counters),
    rows: own ? { ...rows, [partition]: { streamTimeMs: own.streamTimeMs, commit: own.commit } } : rows,
  };
}

function withNumber(ranges: PastPartitions["ranges"], number: number): PastPartitions["ranges"] {
  const joined: [number, number][] = [];
  for (const [first, last] of [...ranges, [number, number] as const].toSorted(([a], [b]) => a - b)) {
    const before = joined.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else joined.push([first, last]);
  }
  return joined;
}

function sumOf(left: PartitionCounters, right: PartitionCounters): PartitionCounters {
  const names = Object.keys(noCounters) as (keyof PartitionCounters)[];
  const sums = names.map((name) => [name, left[name] + right[name]] as const);
  return Object.fromEntries(sums) as unknown as PartitionCounters;
}

/**
 * Drops rows that are older than any window, in the stream time of each partition that may have to know them.
 */
function withoutOldRows(moves: ReadonlyMap<string, Move>, past: LakeState["past"]): LakeState["past"] {
  const held = [...past].filter(([, { rows }]) => Object.keys(rows).length > 0);
  if (held.length === 0) return past;
  const wanted = new Set<string>();
  for (const [key, move] of moves)
    for (const [other, shiftMs] of shiftsOf(key, move, past)) {
      const rows = rowsOf({ moves, past }, other);
      if (rows && rows.streamTimeMs + shiftMs >= move.streamTimeMs - rowsWantedMs) wanted.add(other);
    }
  const left = new Map(past);
  for (const [streamId, each] of held) {
    const kept = Object.entries(each.rows).filter(([partition]) => wanted.has(`${streamId}/${partition}`));
    if (kept.length < Object.keys(each.rows).length)
      left.set(streamId, { ...each, rows: Object.fromEntries(kept) });
  }
  return left;
}

/**
 * The partitions whose rows this one may have to know, and their shifts in ms. A partition that version 0.1.0
 * began names none: it replaced partitions with lower numbers. For a partition that has not begun, its
 * parents' shifts count.
 */
function shiftsOf(key: string, { shifts, to }: Move, past: LakeState["past"]): [string, number][] {
  if (shifts) return Object.entries(shifts);
  if (to === startPosition) return [];
  const { streamId, partition } = partitionOfKey(key);
  const earlier = Object.keys(past.get(streamId)?.rows ?? {}).filter((other) => Number(other) < partition);
  return earlier.map((other) => [`${streamId}/${other}`, 0]);
}
