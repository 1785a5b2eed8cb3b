import type { CommitEntry } from "./commit-entry.ts";
import type { DeltaTable } from "./delta-table.ts";
import { type LaneNumbers, lanes, numberOfLane } from "./lanes.ts";
import type { Snapshot } from "./log-snapshot.ts";
import { shownBy } from "./settling-faults.ts";
import type { TableOrdinals } from "./table-ordinals.ts";

/** By table name: the highest bound of each lane. */
export function boundsOf(
  snapshot: Snapshot | null,
  entries: readonly CommitEntry[],
  ordinals: TableOrdinals,
): ReadonlyMap<string, LaneNumbers> {
  const bounds = new Map<string, LaneNumbers>();
  for (const settled of [snapshot?.settled ?? new Map(), ...entries.map((entry) => entry.settled)])
    for (const [ordinal, bound] of settled) {
      const name = ordinals.of(ordinal)?.name ?? snapshot?.ordinals.get(ordinal)?.name;
      if (name !== undefined) bounds.set(name, highest(bounds.get(name), bound));
    }
  return bounds;
}

export function highest(left: LaneNumbers | undefined, right: LaneNumbers | undefined): LaneNumbers {
  return lanes.map((lane) => Math.max(numberOfLane(left, lane), numberOfLane(right, lane)));
}

/** Bounds that are lower than in an earlier entry, or not below their own entry. */
export function boundFaults(entries: readonly CommitEntry[]): string[] {
  const faults: string[] = [];
  const known = new Map<number, readonly number[]>();
  for (const { number, settled } of entries)
    for (const [ordinal, bound] of settled) {
      const before = known.get(ordinal) ?? [];
      if (bound.some((commit, lane) => commit < (before[lane] ?? 0)))
        faults.push(`commit ${number}: table ${ordinal} was settled up to ${before}, and is up to ${bound}`);
      if (bound.some((commit) => commit >= number))
        faults.push(`commit ${number}: table ${ordinal} is settled up to ${bound}`);
      known.set(ordinal, bound);
    }
  return faults;
}

/** Tables that show less than the log says. */
export function unshownBounds(
  { lakeId, bounds }: { readonly lakeId: string | null; readonly bounds: ReadonlyMap<string, LaneNumbers> },
  tables: ReadonlyMap<string, DeltaTable>,
): string[] {
  if (lakeId === null) return [];
  const faults: string[] = [];
  for (const [name, ofTable] of bounds) {
    const shown = shownBy(tables.get(name), lakeId);
    for (const lane of lanes) {
      const [bound, upTo] = [numberOfLane(ofTable, lane), numberOfLane(shown, lane)];
      const commits = lane === "direct" ? "commits" : `commits of lane ${lane}`;
      if (upTo < bound)
        faults.push(`the log says that ${name} shows ${commits} up to ${bound}, it does up to ${upTo}`);
    }
  }
  return faults;
}
