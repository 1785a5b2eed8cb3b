import type { CommitEntry } from "./commit-entry.ts";
import type { DeltaTable } from "./delta-table.ts";
import { appIdOf, type Settling } from "./lane-transactions.ts";
import { type Lane, type LaneNumbers, lanes } from "./lanes.ts";

/** By lane: the commit up to which the table shows everything, according to its own log. */
export function shownBy(table: DeltaTable | undefined, lakeId: string): LaneNumbers {
  return lanes.map((lane) => table?.transactions.get(appIdOf(lakeId, lane)) ?? 0);
}

interface KnownLog {
  readonly lakeId: string | null;
  readonly entries: readonly CommitEntry[];
  readonly bounds: ReadonlyMap<string, LaneNumbers>;
}

/**
 * Entries of tables that settle commits, and whose files have not as many rows as those commits landed. Each
 * such entry brings the rows of its lanes, and table files that commits name.
 */
export function settlingFaults(log: KnownLog, tables: ReadonlyMap<string, DeltaTable>): string[] {
  if (log.lakeId === null) return [];
  const faults: string[] = [];
  const named = new Set(
    log.entries.flatMap(({ tables: adds }) =>
      [...adds.values()].flatMap(({ files }) => files.map(({ path }) => path)),
    ),
  );
  const landed = landedRows(log.entries);
  for (const table of tables.values())
    for (const settling of table.settlings) {
      const fault = settlingFault(table.name, settling, { log, named, landed });
      if (fault !== null) faults.push(`table ${table.name}, version ${settling.version}: ${fault}`);
    }
  return faults;
}

function settlingFault(
  name: string,
  { lanes: settled, files }: Settling,
  {
    log,
    named,
    landed: byLane,
  }: { readonly log: KnownLog; readonly named: ReadonlySet<string>; readonly landed: LandedByLane },
): string | null {
  let landed = 0;
  for (const [at, lane] of lanes.entries()) {
    const span = settled.get(appIdOf(String(log.lakeId), lane));
    if (!span) continue;
    if (span.to < (span.from ?? 0)) return `lane ${lane} goes back from ${span.from} to ${span.to}`;
    if (lane === "direct") continue;
    // A table whose transactions were dropped continues at its bound.
    const bound = log.bounds.get(name)?.[at] ?? 0;
    if (span.from === undefined && bound > 0) return null;
    const from = span.from ?? 0;
    if (!isKnown(log.entries, from, span.to)) return null;
    const rowsUpTo = byLane.get(laneKey(name, lane));
    landed += rowsUpTo ? sumUpTo(rowsUpTo, span.to) - sumUpTo(rowsUpTo, from) : 0;
  }
  let rows = 0;
  for (const { path, rows: each } of files) {
    if (named.has(path)) continue;
    if (each === undefined) return null;
    rows += each;
  }
  return rows === landed ? null : `its files have ${rows} rows, the commits that it settles landed ${landed}`;
}

/** True if the log that was read has every entry of the span. */
function isKnown(entries: readonly CommitEntry[], from: number, to: number): boolean {
  const [first, last] = [entries[0]?.number, entries.at(-1)?.number];
  return to <= from || (first !== undefined && last !== undefined && first <= from + 1 && to <= last);
}

/** By table and lane: rising numbers of commits, with the rows that commits up to each landed. */
type LandedByLane = ReadonlyMap<string, readonly (readonly [commit: number, rows: number])[]>;

function landedRows(entries: readonly CommitEntry[]): LandedByLane {
  const byLane = new Map<string, [number, number][]>();
  for (const { number, landed } of entries)
    for (const { name, lane, rows } of landed) {
      const sums = byLane.get(laneKey(name, lane)) ?? [];
      sums.push([number, (sums.at(-1)?.[1] ?? 0) + rows]);
      byLane.set(laneKey(name, lane), sums);
    }
  return byLane;
}

function laneKey(name: string, lane: Lane): string {
  return `${name}/${lane}`;
}

/** Rows of commits up to this one: found by halving, because tables settle often and the log is long. */
function sumUpTo(sums: readonly (readonly [commit: number, rows: number])[], commit: number): number {
  let [low, high] = [0, sums.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle]?.[0] ?? 0) <= commit) low = middle + 1;
    else high = middle;
  }
  return sums[low - 1]?.[1] ?? 0;
}
