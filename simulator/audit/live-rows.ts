// The rule of what is filed, in the audit's own words. See docs/design/landing.md.
import type { CommitEntry, LandedRows } from "./commit-entry.ts";
import type { CommitLogState } from "./commit-log.ts";
import type { CommittedLanding } from "./committed-landing.ts";
import type { DataFile } from "./delta-actions.ts";
import type { DeltaTable } from "./delta-table.ts";
import { type Lane, landedLanes, numberOfLane } from "./lanes.ts";
import { highest } from "./settled-bounds.ts";
import { shownBy } from "./settling-faults.ts";

/** One look at the lake. The order of reading matters: bounds, then tables, then entries. */
export interface Cut {
  /** Read before the tables. A newer bound would hide rows that the tables, as they were read, lack. */
  readonly before: CommitLogState;
  readonly tables: ReadonlyMap<string, DeltaTable>;
  /** Read after the tables: it has each entry that they show. */
  readonly after: CommitLogState;
}

/** A landing file with rows that no table shows. */
export interface UnsettledLanding {
  /** Number of its entry. */
  readonly commit: number;
  readonly committedAtMs: number;
  readonly landing: CommittedLanding;
  /** All its rows, settled or not. */
  readonly landed: readonly LandedRows[];
  /** Tables and lanes whose rows count. Readers go by the rows' own lanes, so the entry may lack them. */
  readonly unsettled: readonly Pick<LandedRows, "key" | "lane">[];
}

/** A table file that its table does not show yet. */
export interface UnsettledFile {
  readonly commit: number;
  readonly file: DataFile;
}

export interface UnsettledRows {
  readonly landings: readonly UnsettledLanding[];
  readonly files: readonly UnsettledFile[];
}

/**
 * The rows that count as filed beside those of the live files of tables: a lane of a table is settled up to
 * its transaction, or up to its bound if that is higher, and rows of later commits are in their landing file
 * or in the table files of their entry. In a log without landing files, table files count only if their
 * table shows them.
 */
export function unsettledRows(cut: Cut): UnsettledRows {
  const { lakeId, entries, hasLanding } = cut.after;
  if (lakeId === null || !hasLanding) return { landings: [], files: [] };
  const settledUpTo = settledLanes(cut, lakeId);
  const landings: UnsettledLanding[] = [];
  for (const { number: commit, committedAtMs, landing, landed } of entries) {
    if (!landing || landed.every(({ name, lane }) => commit <= settledUpTo(name, lane))) continue;
    const names = new Map(landed.map(({ key, name }) => [key, name]));
    const unsettled = [...names].flatMap(([key, name]) =>
      landedLanes.filter((lane) => commit > settledUpTo(name, lane)).map((lane) => ({ key, lane })),
    );
    landings.push({ commit, committedAtMs, landing, landed, unsettled });
  }
  return { landings, files: unsettledFiles(cut) };
}

/** Table files of commits that their table does not show, whether they count or not. */
export function unsettledFiles(cut: Cut): readonly UnsettledFile[] {
  const { lakeId, entries } = cut.after;
  if (lakeId === null) return [];
  const settledUpTo = settledLanes(cut, lakeId);
  return entries.flatMap((entry) => filesOf(entry, (name) => entry.number > settledUpTo(name, "direct")));
}

/** By table and lane: the commit up to which everything is settled. */
function settledLanes({ before, tables }: Cut, lakeId: string): (name: string, lane: Lane) => number {
  const known = new Map<string, readonly number[]>();
  return (name, lane) => {
    const numbers = known.get(name) ?? highest(shownBy(tables.get(name), lakeId), before.bounds.get(name));
    known.set(name, numbers);
    return numberOfLane(numbers, lane);
  };
}

function filesOf(entry: CommitEntry, isUnsettled: (name: string) => boolean): UnsettledFile[] {
  const found: UnsettledFile[] = [];
  for (const { name, files } of entry.tables.values()) {
    if (!isUnsettled(name)) continue;
    for (const { path, rows, bytes, eventDate, eventHour, statistics } of files) {
      const partitionValues = { event_date: eventDate, event_hour: String(eventHour) };
      const times = { modifiedAtMs: entry.committedAtMs, maxIngestMs: null };
      const file = { path, rows, size: bytes, partitionValues, statistics, addedBy: null, ...times };
      found.push({ commit: entry.number, file });
    }
  }
  return found;
}
