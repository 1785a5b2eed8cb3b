import type {
  AddedFile,
  CommitEntry,
  CommitLog,
  CommittedTable,
  LakeState,
} from "../commit-log/commit-log.ts";
import type { LandedFile } from "../commit-log/landed-file.ts";
import { type LaneCommits, landedLanes, lanes, noCommits } from "../commit-log/lane-commits.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";
import type { AddAction } from "./delta-actions.ts";
import { DeltaTable } from "./delta-table.ts";
import { settledLanes } from "./lane-transactions.ts";
import { scopeOf } from "./table-faults.ts";

export interface TableFilesOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly checkpoints: CheckpointFiles | undefined;
}

type VisitAdd = (add: AddAction) => void;
/** @param rows Rows of the topic in the file that the table does not show yet. */
type VisitLanding = (file: LandedFile, rows: number) => void;

/** How often a table is read again if the entries that it lacked were published and given up meanwhile. */
const attemptsMax = 5;
const entriesAtOnce = 16;

/**
 * Visits the files that hold a topic's rows: those that its table shows, and those of commits that the table
 * does not show yet, landing files too. May visit a file more than once, and files whose rows the table shows
 * meanwhile. If the table's log is unreadable, visits the files that the commit log still names, and resolves
 * with the fault; otherwise resolves with null.
 */
export async function eachTableFile(
  options: TableFilesOptions,
  key: string,
  visit: VisitAdd,
  visitLanding: VisitLanding = () => {},
): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    // Before the table: what the log says that tables show must not be newer than the table.
    const lake = await options.commitLog.load();
    const table = lake.tables.get(key);
    if (!table) return null;
    const { shown, fault } = await eachShown(options, table, visit);
    const isWhole = await eachCommitted(options.commitLog, { key, table, shown, lake, visit, visitLanding });
    if (isWhole || fault !== null || attempt === attemptsMax) return fault;
  }
}

async function eachShown(
  { store, commitLog, checkpoints }: TableFilesOptions,
  { name }: CommittedTable,
  visit: VisitAdd,
): Promise<{ shown: LaneCommits; fault: unknown }> {
  try {
    const table = new DeltaTable(store, name, checkpoints && { checkpoints });
    const { txns } = await table.refresh();
    await table.eachLive(visit);
    return { shown: settledLanes(txns, commitLog.lakeId), fault: null };
  } catch (error) {
    if (scopeOf(error, name) !== "table") throw error;
    return { shown: noCommits, fault: error };
  }
}

interface Unshown {
  readonly key: string;
  readonly table: CommittedTable;
  /** By lane: the table shows every commit up to this one. */
  readonly shown: LaneCommits;
  readonly lake: LakeState;
  readonly visit: VisitAdd;
  readonly visitLanding: VisitLanding;
}

/** Visits the files of commits after `shown`. Resolves with false if the log gave up one of these commits. */
async function eachCommitted(
  commitLog: CommitLog,
  { key, table, shown, lake, visit, visitLanding }: Unshown,
): Promise<boolean> {
  const lacking = lanes.filter((lane) => table.last[lane] > shown[lane]);
  if (lacking.length === 0) return true;
  let isWhole = lacking.every(
    (lane) => shown[lane] + 1 >= lake.firstKept || shown[lane] >= table.settled[lane],
  );
  const first = Math.max(lake.firstKept, Math.min(...lacking.map((lane) => shown[lane] + 1)));
  const last = Math.max(...lacking.map((lane) => table.last[lane]));
  for (let number = first; number <= last; number += entriesAtOnce) {
    const count = Math.min(entriesAtOnce, last - number + 1);
    const numbers = Array.from({ length: count }, (_, index) => number + index);
    for (const entry of await Promise.all(numbers.map((each) => commitLog.entry(each)))) {
      if (!entry) isWhole = false;
      else visitUnshown(entry, { key, shown, visit, visitLanding });
    }
  }
  return isWhole;
}

function visitUnshown(
  { number, tables, landing }: CommitEntry,
  { key, shown, visit, visitLanding }: Pick<Unshown, "key" | "shown" | "visit" | "visitLanding">,
): void {
  if (number > shown.direct) for (const file of tables[key]?.adds ?? []) visit(asAdd(file));
  const landed = landing?.tables[key]?.rows ?? {};
  const rows = landedLanes.map((lane) => (number > shown[lane] ? (landed[lane] ?? 0) : 0));
  const sum = rows.reduce((total, count) => total + count, 0);
  if (landing && sum > 0) visitLanding(landing.file, sum);
}

function asAdd(file: AddedFile): AddAction {
  const { path, eventDate, eventHour, bytes, modifiedAtMs, stats } = file;
  const partitionValues = { event_date: eventDate, event_hour: String(eventHour) };
  return { path, partitionValues, size: bytes, modificationTime: modifiedAtMs, dataChange: true, stats };
}
