import type { CommitEntry } from "../../bridge/lake/commit-log/commit-log.ts";
import {
  highestOf,
  type Lane,
  type LaneCommits,
  lanes,
  noCommits,
} from "../../bridge/lake/commit-log/lane-commits.ts";
import { committedFiles } from "../support/committed-rows.ts";
import { readRows } from "../support/json-lake.ts";
import type { LandedRow } from "../support/json-landing.ts";
import type { Violation } from "./violation.ts";

type Report = (rule: Violation["rule"], detail: string) => void;
/** A row's place in the stream. */
type Place = string;

/** Rows that one commit brought to a table in one lane. */
interface Brought {
  readonly commit: number;
  readonly places: readonly Place[];
}

/** What one version of a table changed. Paths are relative to the lake. */
export interface VersionChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** The transactions of the version. */
  readonly transactions: LaneCommits;
}

class LiveTable {
  transactions = noCommits;
  bounds = noCommits;
  /** Ascending by commit. */
  readonly brought: Readonly<Record<Lane, Brought[]>> = { direct: [], even: [], odd: [], late: [] };
  /** How often a commit brought the row. */
  readonly committed = new Map<Place, number>();
  /** How often a reader finds the row: in files of the table, and in commits that it does not show. */
  readonly live = new Map<Place, number>();

  /** Readers count the rows of later commits. */
  get upTo(): LaneCommits {
    return highestOf(this.transactions, this.bounds);
  }
}

/**
 * What readers of the lake find at each moment, by the rule of `live-rows.ts` in the tests' own words. Checks
 * after each change that each committed row of the changed table is found exactly once.
 */
export class LiveRecord {
  readonly #report: Report;
  readonly #tables = new Map<string, LiveTable>();
  /** Content of all data files that ever were. */
  readonly #contents = new Map<string, Uint8Array>();

  constructor(report: Report) {
    this.#report = report;
  }

  fileWritten(path: string, bytes: Uint8Array): void {
    this.#contents.set(path, bytes);
  }

  /** @param bounds By table name: what the log says, with this entry, that tables show. */
  committed(entry: CommitEntry, bounds: ReadonlyMap<string, LaneCommits>): void {
    const direct = new Map<string, Place[]>();
    for (const { name, path } of committedFiles(entry))
      direct.set(name, [...(direct.get(name) ?? []), ...this.#placesIn(path)]);
    for (const [name, places] of direct) this.#bring(name, "direct", { commit: entry.number, places });
    if (entry.landing) this.#land(entry, entry.landing);
    for (const [name, bound] of bounds) {
      const table = this.#tableOf(name);
      const { upTo } = table;
      table.bounds = highestOf(table.bounds, bound);
      this.#moved(name, upTo, `entry ${entry.number}`);
    }
  }

  versionCreated(name: string, version: number, { added, removed, transactions }: VersionChange): void {
    const table = this.#tableOf(name);
    const touched: Place[] = [];
    const count = (paths: readonly string[], by: 1 | -1) => {
      for (const path of paths)
        for (const place of this.#placesIn(path)) {
          table.live.set(place, (table.live.get(place) ?? 0) + by);
          touched.push(place);
        }
    };
    count(added, 1);
    count(removed, -1);
    const { upTo } = table;
    table.transactions = transactions;
    this.#moved(name, upTo, `version ${version}`, touched);
  }

  /** By lane: up to which commit the log says that the table shows everything. */
  recorded(name: string): LaneCommits {
    return this.#tableOf(name).bounds;
  }

  /** Reports tables that lack rows. */
  checkSettled(): void {
    for (const [name, { brought, upTo }] of this.#tables)
      for (const lane of lanes) {
        const last = brought[lane].at(-1)?.commit ?? 0;
        if (last > upTo[lane])
          this.#report("unsettled", `${name} shows ${lane} rows up to ${upTo[lane]}, and ${last} has some`);
      }
  }

  /** By place: how often commits up to this one brought each row of the table. */
  rowsUpTo(name: string, commit: number): ReadonlyMap<Place, number> {
    const rows = new Map<Place, number>();
    for (const lane of lanes)
      for (const { commit: of, places } of this.#tableOf(name).brought[lane])
        if (of <= commit) for (const place of places) rows.set(place, (rows.get(place) ?? 0) + 1);
    return rows;
  }

  #land({ number: commit }: CommitEntry, { file, tables }: NonNullable<CommitEntry["landing"]>): void {
    const rows = this.#rowsIn(file.path);
    for (const [key, { name, rows: counts }] of Object.entries(tables))
      for (const lane of lanes) {
        const ofLane = rows.filter(
          (row) => row.lane === lane && key === (row.reason === null ? row.topicId : "_quarantine"),
        );
        if (lane !== "direct" && ofLane.length !== (counts[lane] ?? 0))
          this.#report("books", `entry ${commit}: ${file.path} has ${ofLane.length} ${lane} rows of ${name}`);
        if (ofLane.length > 0) this.#bring(name, lane, { commit, places: ofLane.map(placeOf) });
      }
  }

  #bring(name: string, lane: Lane, brought: Brought): void {
    const table = this.#tableOf(name);
    table.brought[lane].push(brought);
    const isUnsettled = brought.commit > table.upTo[lane];
    for (const place of brought.places) {
      table.committed.set(place, (table.committed.get(place) ?? 0) + 1);
      if (isUnsettled) table.live.set(place, (table.live.get(place) ?? 0) + 1);
    }
    this.#check(name, brought.places, `entry ${brought.commit}`);
  }

  /** @param before What readers took from the table up to now. */
  #moved(name: string, before: LaneCommits, what: string, places: readonly Place[] = []): void {
    const table = this.#tableOf(name);
    const touched = [...places];
    for (const lane of lanes) {
      const [from, to] = [before[lane], table.upTo[lane]];
      if (from === to) continue;
      const [low, high, by] = from < to ? [from, to, -1] : [to, from, 1];
      for (const { commit, places: ofCommit } of table.brought[lane])
        if (commit > low && commit <= high)
          for (const place of ofCommit) {
            table.live.set(place, (table.live.get(place) ?? 0) + by);
            touched.push(place);
          }
    }
    this.#check(name, touched, what);
  }

  #check(name: string, places: Iterable<Place>, what: string): void {
    const { live, committed } = this.#tableOf(name);
    for (const place of places) {
      const [found, wanted] = [live.get(place) ?? 0, committed.get(place) ?? 0];
      const detail = `${name} at ${what}: ${place} is there ${found} times`;
      if (wanted === 0 && found !== 0) this.#report("half-visible", `${detail} without a commit`);
      else if (found > wanted) this.#report("live-twice", detail);
      else if (found < wanted) this.#report("live-nowhere", detail);
    }
  }

  #placesIn(path: string): Place[] {
    return this.#rowsIn(path).map(placeOf);
  }

  #rowsIn(path: string): LandedRow[] {
    const bytes = this.#contents.get(path);
    return bytes ? (readRows(bytes) as LandedRow[]) : [];
  }

  #tableOf(name: string): LiveTable {
    const known = this.#tables.get(name) ?? new LiveTable();
    this.#tables.set(name, known);
    return known;
  }
}

export function placeOf({
  partition,
  position,
  index,
}: Pick<LandedRow, "partition" | "position" | "index">): Place {
  return `${partition}/${Number(position)}/${index}`;
}
