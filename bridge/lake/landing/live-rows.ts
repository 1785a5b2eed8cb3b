import { BridgeError } from "../../errors.ts";
import type { AddedFile, CommitEntry, CommitLog, LakeState } from "../commit-log/commit-log.ts";
import type { LandedFile } from "../commit-log/landed-file.ts";
import {
  highestOf,
  type LandedLane,
  type LaneCommits,
  landedLanes,
  lanes,
  noCommits,
} from "../commit-log/lane-commits.ts";

/** How often the tables are read again if entries were settled and given up meanwhile. */
const attemptsMax = 5;
const entriesAtOnce = 16;
/** About 80 MB of the commit log, a day of commits each 5 s. */
const defaultEntriesMax = 20_000;

/** What a table's own log says. */
export interface ShownTable {
  /** By lane: the table shows the rows of every commit up to this one. */
  readonly transactions: LaneCommits;
}

/** Rows of a table that commits brought and the table does not show. Ascending by commit. */
export interface UnsettledRows {
  readonly files: readonly UnsettledFile[];
  readonly landed: readonly UnsettledLanding[];
}

/** A table file of the lane `direct`. */
export interface UnsettledFile extends AddedFile {
  readonly commit: number;
  readonly committedAtMs: number;
}

/** A landing file of which the table lacks the rows of these lanes. */
export interface UnsettledLanding {
  readonly commit: number;
  readonly file: LandedFile;
  readonly lanes: readonly LandedLane[];
}

/** The rows of the lake at one moment: those that tables show, and those that still wait in commits. */
export interface LiveCut<Shown> {
  readonly lake: LakeState;
  /** By table name. */
  readonly shown: ReadonlyMap<string, Shown>;
  /** By table name, only tables that lack rows. */
  readonly unsettled: ReadonlyMap<string, UnsettledRows>;
  /** Tables that lack so much that their rows were not looked up, with the number of commits since. */
  readonly behind: ReadonlyMap<string, number>;
}

export interface LiveRowsOptions<Shown extends ShownTable> {
  /**
   * Reads at least the tables that the state names. Called again if the log gave entries up meanwhile.
   */
  readonly show: (lake: LakeState) => Promise<ReadonlyMap<string, Shown>>;
  /** Whether the rows that this table lacks are looked up. Default: those of all tables. */
  readonly isWanted?: (name: string) => boolean;
  /**
   * The state of a snapshot of the log, which says for quiet tables that they lack nothing up to there. Null =
   * there is no snapshot.
   */
  readonly summed?: () => Promise<LakeState | null>;
  /** Bounds the entries that are read: a table that was parked for weeks lacks many. Default 20,000. */
  readonly entriesMax?: number;
}

/**
 * Cuts the lake at one moment, so that each committed row is in the cut exactly once. The order of the steps
 * matters: (1) what the log says that tables show, (2) the tables, (3) the log's end. If the bounds were newer
 * than a table, rows would be missing; if the log's end were older, settled rows could be counted twice.
 * Rejects with STORE_UNAVAILABLE (retryable) if the log gives entries up again and again meanwhile, and with
 * the errors of `show` and of the log.
 */
export async function cutLiveRows<Shown extends ShownTable>(
  commitLog: Pick<CommitLog, "load" | "entry">,
  { show, isWanted = () => true, summed, entriesMax = defaultEntriesMax }: LiveRowsOptions<Shown>,
): Promise<LiveCut<Shown>> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const bounds = await commitLog.load();
    const shown = await show(bounds);
    const lake = await commitLog.load();
    if ([...lake.tables.values()].some(({ name }) => !shown.has(name))) continue;
    const settled = settledByName(bounds, shown);
    const firsts = firstLacking(lake, bounds.firstKept, { settled, summed: (await summed?.()) ?? null });
    const lag = (first: number) => lake.number - first + 1;
    const wanted = [...firsts].filter(([name]) => isWanted(name));
    const behind = new Map(
      wanted
        .map(([name, first]) => [name, lag(first)] as const)
        .filter(([, commits]) => commits > entriesMax),
    );
    const read = new Map(wanted.filter(([name]) => !behind.has(name)));
    const unsettled = await readUnsettled(commitLog, lake, { settled, firsts: read });
    if (unsettled) return { lake, shown, unsettled, behind };
  }
  const text = "the lake changed faster than it could be read";
  throw new BridgeError("STORE_UNAVAILABLE", text, { retryable: true });
}

/** By table name. A name that was created again has two topic ids, and one table with one log. */
function settledByName(
  { tables }: LakeState,
  shown: ReadonlyMap<string, ShownTable>,
): ReadonlyMap<string, LaneCommits> {
  const settled = new Map([...shown].map(([name, { transactions }]) => [name, transactions]));
  for (const { name, settled: bound } of tables.values())
    settled.set(name, highestOf(settled.get(name) ?? noCommits, bound));
  return settled;
}

interface Lacking {
  /** By table name. */
  readonly settled: ReadonlyMap<string, LaneCommits>;
  /** By name of the tables to look up: no commit before this one is missing. */
  readonly firsts: ReadonlyMap<string, number>;
}

/** Resolves with null if the log gave up an entry that a table still needs. */
async function readUnsettled(
  commitLog: Pick<CommitLog, "entry">,
  lake: LakeState,
  lacking: Lacking,
): Promise<Map<string, UnsettledRows> | null> {
  const rows = new Map<string, { files: UnsettledFile[]; landed: UnsettledLanding[] }>();
  const of = (name: string) => {
    const known = rows.get(name) ?? { files: [], landed: [] };
    rows.set(name, known);
    return known;
  };
  const first = Math.min(lake.number + 1, ...lacking.firsts.values());
  for (let number = first; number <= lake.number; number += entriesAtOnce) {
    const count = Math.min(entriesAtOnce, lake.number - number + 1);
    const numbers = Array.from({ length: count }, (_, index) => number + index);
    for (const entry of await Promise.all(numbers.map((each) => commitLog.entry(each)))) {
      if (!entry) return null;
      noteFiles(entry, lacking, of);
      noteLanded(entry, lacking, of);
    }
  }
  return rows;
}

/**
 * By name of the tables that lack rows: no commit before this one is missing. Entries below the first one that the
 * log kept before the tables were read have no rows that a table lacks.
 */
function firstLacking(
  lake: LakeState,
  firstKept: number,
  {
    settled,
    summed,
  }: { readonly settled: ReadonlyMap<string, LaneCommits>; readonly summed: LakeState | null },
): Map<string, number> {
  const firsts = new Map<string, number>();
  for (const [key, { name, last }] of lake.tables) {
    const upTo = settled.get(name) ?? noCommits;
    const summedUp = summed?.tables.get(key)?.last ?? noCommits;
    for (const lane of lanes) {
      if (last[lane] <= upTo[lane]) continue;
      const isShownThere = summed !== null && summedUp[lane] <= upTo[lane];
      const first = Math.max(firstKept, upTo[lane] + 1, isShownThere ? summed.number + 1 : 0);
      firsts.set(name, Math.min(firsts.get(name) ?? first, first));
    }
  }
  return firsts;
}

type RowsOf = (name: string) => { files: UnsettledFile[]; landed: UnsettledLanding[] };

function noteFiles(
  { number, committedAtMs, tables }: CommitEntry,
  { settled, firsts }: Lacking,
  of: RowsOf,
): void {
  for (const { name, adds } of Object.values(tables)) {
    if (!firsts.has(name) || number <= (settled.get(name)?.direct ?? 0)) continue;
    of(name).files.push(...adds.map((file) => ({ ...file, commit: number, committedAtMs })));
  }
}

function noteLanded({ number, landing }: CommitEntry, { settled, firsts }: Lacking, of: RowsOf): void {
  if (!landing) return;
  const lacking = new Map<string, Set<LandedLane>>();
  for (const { name, rows } of Object.values(landing.tables))
    for (const lane of landedLanes)
      if (firsts.has(name) && rows[lane] !== undefined && number > (settled.get(name)?.[lane] ?? 0))
        lacking.set(name, (lacking.get(name) ?? new Set()).add(lane));
  for (const [name, ofTable] of lacking)
    of(name).landed.push({ commit: number, file: landing.file, lanes: [...ofTable] });
}
