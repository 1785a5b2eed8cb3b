import { END_POSITION, START_POSITION } from "../streams/stream-log.ts";
import {
  type LakeState,
  type Move,
  noCounters,
  type PartitionCounters,
  type PastPartitions,
  type PastRows,
  partitionKey,
  partitionOfKey,
} from "./commit-log.ts";

type Held = Pick<LakeState, "moves" | "past">;

/** Stream time. Longer than any dedupe window, 7 d at most: rows that are older are in no window of a topic with one. */
export const ROWS_WANTED_MS = 8 * 86_400_000;

/** To whoever has not heard of it, a past partition shows as what it is: held to its end. */
const pastMove: Move = {
  from: END_POSITION,
  to: END_POSITION,
  streamTimeMs: 0,
  producers: {},
  counters: noCounters,
};

/** The last move of a partition; undefined = the lake does not know it. */
export function moveOf(lake: Held, key: string): Move | undefined {
  return lake.moves.get(key) ?? (isPast(lake, key) ? pastMove : undefined);
}

export function isPast({ past }: Held, key: string): boolean {
  const { streamId, partition } = partitionOfKey(key);
  const ranges = past.get(streamId)?.ranges ?? [];
  return ranges.some(([first, last]) => first <= partition && partition <= last);
}

/** How many partitions of a stream are past, and what they brought together. */
export function pastBooks(
  { past }: Held,
  streamId: string,
): { readonly partitions: number; readonly counters: PartitionCounters } {
  const { ranges = [], counters = noCounters } = past.get(streamId) ?? {};
  return { partitions: ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0), counters };
}

/** Where rows came from that a window may have to know. */
export interface RowsOfPartition extends PastRows {
  readonly isEnded: boolean;
}

/** undefined = nobody will ask for rows of it: it ended without any, they are too old, or the lake does not know it. */
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
  const isEnded = to === END_POSITION;
  const hasNone = counters.filed + counters.quarantined === 0;
  return isEnded && hasNone ? undefined : { streamTimeMs, commit, isEnded };
}

/**
 * What is past after an entry. Deterministic: all processes and snapshots must agree on it, so a change needs another LAKE_FORMAT.
 *
 * Partitions end for as long as a stream lives, and a move with 100 producers takes 11 kB of each snapshot. One is past once the lake holds
 * it to its end and all that took its place have begun: then their moves have its producers, its clock and its place in time, and only
 * its rows are still asked for. The entries alone decide that, never a clock: what took its place may begin at any later time.
 *
 * All that took its place are known if one of them is, since they are recorded by one entry (`Move.parents`). Of those that older versions
 * recorded nobody knows it; these stay as they are.
 * @param moves After the entry; those that are past now are taken out.
 * @param before What was past before it.
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

/** Those that are held to their end, and whose place others took that have begun, all of them. */
function takenOver(moves: ReadonlyMap<string, Move>): [string, Move][] {
  const ended = [...moves].filter(([, { to }]) => to === END_POSITION);
  if (ended.length === 0) return [];
  const replaced = new Set<string>();
  const awaited = new Set<string>();
  for (const [key, { parents = [], to }] of moves)
    for (const parent of parents) {
      const parentKey = partitionKey(partitionOfKey(key).streamId, parent);
      replaced.add(parentKey);
      if (to === START_POSITION) awaited.add(parentKey);
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

/** Without the rows that are older than any window, by the stream time of each partition that would have to know them. */
function withoutOldRows(moves: ReadonlyMap<string, Move>, past: LakeState["past"]): LakeState["past"] {
  const held = [...past].filter(([, { rows }]) => Object.keys(rows).length > 0);
  if (held.length === 0) return past;
  const wanted = new Set<string>();
  for (const [key, move] of moves)
    for (const [other, shiftMs] of shiftsOf(key, move, past)) {
      const rows = rowsOf({ moves, past }, other);
      if (rows && rows.streamTimeMs + shiftMs >= move.streamTimeMs - ROWS_WANTED_MS) wanted.add(other);
    }
  const left = new Map(past);
  for (const [streamId, each] of held) {
    const kept = Object.entries(each.rows).filter(([partition]) => wanted.has(`${streamId}/${partition}`));
    if (kept.length < Object.keys(each.rows).length)
      left.set(streamId, { ...each, rows: Object.fromEntries(kept) });
  }
  return left;
}

/** One that 0.1.0 began names none: it took the place of some with a lower number. One that has not begun has its parents' to go by. */
function shiftsOf(key: string, { shifts, to }: Move, past: LakeState["past"]): [string, number][] {
  if (shifts) return Object.entries(shifts);
  if (to === START_POSITION) return [];
  const { streamId, partition } = partitionOfKey(key);
  const earlier = Object.keys(past.get(streamId)?.rows ?? {}).filter((other) => Number(other) < partition);
  return earlier.map((other) => [`${streamId}/${other}`, 0]);
}
