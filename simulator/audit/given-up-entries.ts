import type { CommitEntry } from "./commit-entry.ts";
import type { DeltaTable } from "./delta-table.ts";
import { type Lane, type LaneNumbers, landedLanes, numberOfLane } from "./lanes.ts";
import type { Snapshot } from "./log-snapshot.ts";
import { highest } from "./settled-bounds.ts";
import { shownBy } from "./settling-faults.ts";

/** What the log still says of entries that it gives up. */
export interface GivenUp {
  /** Entries below this one are given up. */
  readonly firstKept: number;
  /** Those of them that were read, or that still exist, with their rows by topic id. */
  readonly entries: readonly CommitEntry[];
  /** By table, according to the snapshot: the last commit that landed rows of it, by lane. */
  readonly last: readonly { readonly name: string; readonly commits: LaneNumbers }[];
}

export const nothingGivenUp: GivenUp = { firstKept: 0, entries: [], last: [] };

export function lastOfTables(snapshot: Snapshot | null): GivenUp["last"] {
  if (!snapshot) return [];
  return [...snapshot.ordinals.values()].map(({ key, name }) => ({
    name,
    commits: snapshot.lastCommits.get(key) ?? [],
  }));
}

interface KnownLog {
  readonly lakeId: string | null;
  readonly hasLanding: boolean;
  /** By table name, and in it by lane. */
  readonly bounds: ReadonlyMap<string, LaneNumbers>;
  readonly givenUp: GivenUp;
}

/**
 * Rows that no table shows, and whose entry the log gives up: nobody will settle them. The tables must be read
 * after the log. The snapshot knows only the last entry of a table and lane. Table files of commits wait for
 * their table only in a log with landing files.
 */
export function givenUpFaults(
  { lakeId, hasLanding, bounds, givenUp }: KnownLog,
  tables: ReadonlyMap<string, DeltaTable>,
): string[] {
  if (lakeId === null || !hasLanding) return [];
  const { firstKept, entries, last } = givenUp;
  const faults = new Set<string>();
  const check = (commit: number, name: string, lane: Lane) => {
    const upTo = numberOfLane(highest(shownBy(tables.get(name), lakeId), bounds.get(name)), lane);
    if (commit > 0 && commit < firstKept && commit > upTo)
      faults.add(
        `the log gives up commit ${commit}, and ${name} lacks its rows: it shows lane ${lane} up to ${upTo}`,
      );
  };
  for (const { number, landed, tables: direct } of entries) {
    for (const { name, files } of direct.values()) if (files.length > 0) check(number, name, "direct");
    for (const { name, lane } of landed) check(number, name, lane);
  }
  for (const { name, commits } of last)
    for (const lane of landedLanes) check(numberOfLane(commits, lane), name, lane);
  return [...faults];
}
