import { BridgeError } from "../../bridge/errors.ts";
import {
  type CommitEntry,
  type CommitLog,
  type LakeState,
  quarantineKey,
} from "../../bridge/lake/commit-log/commit-log.ts";
import {
  highestOf,
  type Lane,
  type LaneCommits,
  landedLanes,
  lanes,
  noCommits,
} from "../../bridge/lake/commit-log/lane-commits.ts";
import type { DeltaTables } from "../../bridge/lake/delta/delta-tables.ts";
import { settledLanes } from "../../bridge/lake/delta/lane-transactions.ts";
import { scopeOf } from "../../bridge/lake/delta/table-faults.ts";
import type { LandedSource, RowFiles, TableRows } from "../../bridge/lake/landing/row-files.ts";
import { landedColumns } from "../../bridge/lake/parquet/landed-rows.ts";
import { settleTable } from "../../bridge/lake/settle/settle-table.ts";
import type { TopicCatalog } from "../../bridge/topics/topic-catalog.ts";

export interface SettlerPorts {
  readonly commitLog: CommitLog;
  readonly tables: Pick<DeltaTables, "named">;
  readonly rowFiles: RowFiles;
  readonly topics: TopicCatalog;
  readonly now: () => number;
}

/** What a round may change; a broken variant does. */
export interface SettleSteps {
  readonly settleTable: typeof settleTable;
  /** Up to which commit a round says that it settles, after the entries up to `read` were read. */
  readonly claim: (log: Pick<CommitLog, "load">, read: number) => Promise<number>;
}

export const settleSteps: SettleSteps = { settleTable, claim: async (_log, read) => read };

export interface SettledRound {
  /** Versions that were created. */
  readonly settled: number;
  /** Tables that still lack rows, as far as this round knows. */
  readonly lacking: number;
}

interface WantedTable {
  readonly name: string;
  /** By lane: the table shows every commit up to this one. */
  readonly shown: LaneCommits;
  readonly lanes: readonly Lane[];
}

/** One round: moves rows of tables and lanes that `isDue` picks into their tables. */
export async function settleTables(
  ports: SettlerPorts,
  isDue: (name: string, lane: Lane) => boolean,
  steps: SettleSteps = settleSteps,
): Promise<SettledRound> {
  const { commitLog, topics, rowFiles } = ports;
  // Before the tables: what the log says that tables show must not be newer than a table.
  const lake = await commitLog.load();
  await topics.refresh();
  const wanted: WantedTable[] = [];
  let lacking = 0;
  for (const name of new Set([...lake.tables.values()].map((table) => table.name))) {
    const table = await lackingLanes(ports, lake, name);
    if (table === "parked") lacking += 1;
    if (table === "parked" || table === null) continue;
    const due = table.lanes.filter((lane) => isDue(name, lane));
    if (due.length < table.lanes.length) lacking += 1;
    if (due.length > 0) wanted.push({ ...table, lanes: due });
  }
  if (wanted.length === 0) return { settled: 0, lacking };
  const entries = await entriesOf(commitLog, lake, wanted);
  if (entries === null) return { settled: 0, lacking: lacking + wanted.length };
  const upTo = await steps.claim(commitLog, lake.number);
  const round = await rowFiles.open(sourcesOf(entries, wanted));
  try {
    let settled = 0;
    for (const table of wanted)
      if (await settleOne(ports, { table, entries, upTo, round }, steps)) settled += 1;
    return { settled, lacking: lacking + wanted.length - settled };
  } finally {
    await round.close();
  }
}

/** The lanes that lack rows; null if there are none. */
async function lackingLanes(
  { tables, commitLog: { lakeId } }: SettlerPorts,
  lake: LakeState,
  name: string,
): Promise<WantedTable | "parked" | null> {
  const of = [...lake.tables.values()].filter((table) => table.name === name);
  const last = of.reduce((commits, table) => highestOf(commits, table.last), noCommits);
  const bounds = of.reduce((commits, table) => highestOf(commits, table.settled), noCommits);
  if (lanes.every((lane) => last[lane] <= bounds[lane])) return null;
  try {
    const shown = settledLanes((await tables.named(name).refresh()).txns, lakeId);
    const lacking = lanes.filter((lane) => last[lane] > Math.max(shown[lane], bounds[lane]));
    if (lacking.some((lane) => shown[lane] < bounds[lane])) return "parked";
    return lacking.length === 0 ? null : { name, shown, lanes: lacking };
  } catch (error) {
    if (scopeOf(error, name) !== "table") throw error;
    return "parked";
  }
}

/** Entries that the tables may lack, in order; null if the log gave one up, because its rows were settled. */
async function entriesOf(
  commitLog: Pick<CommitLog, "entry">,
  { number: last, firstKept }: LakeState,
  wanted: readonly WantedTable[],
): Promise<CommitEntry[] | null> {
  const shown = wanted.flatMap((table) => table.lanes.map((lane) => table.shown[lane]));
  const entries: CommitEntry[] = [];
  for (let number = Math.max(firstKept, Math.min(...shown) + 1); number <= last; number++) {
    const entry = await commitLog.entry(number);
    if (entry === null) return null;
    entries.push(entry);
  }
  return entries;
}

function sourcesOf(entries: readonly CommitEntry[], wanted: readonly WantedTable[]): LandedSource[] {
  return entries.flatMap(({ number: commit, landing }) => {
    const isWanted = Object.values(landing?.tables ?? {}).some(({ name, rows }) =>
      wanted.some(
        (table) =>
          table.name === name &&
          landedLanes.some(
            (lane) => rows[lane] !== undefined && table.lanes.includes(lane) && commit > table.shown[lane],
          ),
      ),
    );
    return landing && isWanted ? [{ commit, path: landing.file.path }] : [];
  });
}

interface RoundOfTable {
  readonly table: WantedTable;
  readonly entries: readonly CommitEntry[];
  readonly upTo: number;
  readonly round: Awaited<ReturnType<RowFiles["open"]>>;
}

/** Resolves with false if the table was not settled: another round tries again. */
async function settleOne(
  { tables, topics, commitLog: { lakeId }, now }: SettlerPorts,
  { table: { name, shown, lanes: due }, entries, upTo, round }: RoundOfTable,
  steps: SettleSteps,
): Promise<boolean> {
  const versions = topics.definitions().filter((topic) => topic.name === name);
  const ranges = landedLanes
    .filter((lane) => due.includes(lane))
    .map((lane) => ({ lane, after: shown[lane], upTo }));
  const rows: TableRows = { name, versions: name === quarantineKey ? null : versions, ranges };
  const files = entries
    .filter(({ number }) => number > shown.direct)
    .flatMap((entry) => Object.values(entry.tables).filter((table) => table.name === name))
    .flatMap(({ adds }) => adds);
  const direct = due.includes("direct") ? { after: shown.direct, upTo, files } : null;
  try {
    const columns = landedColumns(rows);
    const given = { rows, direct, columns };
    return (await steps.settleTable({ lakeId, now }, tables.named(name), given, round)) === "settled";
  } catch (error) {
    if (error instanceof BridgeError && error.code === "TABLE_CONFLICT") return false;
    throw error;
  }
}
