import type { AddedFile, CommitLog, CommittedTable } from "./commit-log.ts";
import type { CheckpointFiles } from "./delta/checkpoint-files.ts";
import type { AddAction } from "./delta/delta-actions.ts";
import { DeltaTable } from "./delta/delta-table.ts";
import { scopeOf } from "./delta/table-faults.ts";
import type { ObjectStore } from "./object-store.ts";

export interface TableFilesOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly checkpoints: CheckpointFiles | undefined;
}

type KeyedTable = CommittedTable & { readonly key: string };
type VisitAdd = (add: AddAction) => void;

/** Times that a table is read again because the entries of what it lacked were published and given up meanwhile. */
const attemptsMax = 5;

/**
 * Visits the files that hold a topic's rows: those that its table shows, and those of commits that it does not show yet because it is parked
 * or nobody has published them. May visit one more than once. Resolves with the fault if the table's log can't be read; then the files are
 * those that the commit log still names.
 */
export async function eachTableFile(
  options: TableFilesOptions,
  table: KeyedTable,
  visit: VisitAdd,
): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    const { shown, fault } = await eachShown(options, table, visit);
    const isWhole = await eachCommitted(options.commitLog, table, { shown, visit });
    if (isWhole || fault !== null || attempt === attemptsMax) return fault;
  }
}

async function eachShown(
  { store, commitLog, checkpoints }: TableFilesOptions,
  { name }: KeyedTable,
  visit: VisitAdd,
): Promise<{ shown: number; fault: unknown }> {
  try {
    const table = new DeltaTable(store, name, checkpoints && { checkpoints });
    const { txns } = await table.refresh();
    await table.eachLive(visit);
    return { shown: txns.get(`tidegate/${commitLog.lakeId}`)?.version ?? 0, fault: null };
  } catch (error) {
    if (scopeOf(error, name) !== "table") throw error;
    return { shown: 0, fault: error };
  }
}

/** The files of commits after `shown`; false if one of these is not in the log any more. */
async function eachCommitted(
  commitLog: CommitLog,
  { key, lastCommit }: KeyedTable,
  { shown, visit }: { readonly shown: number; readonly visit: VisitAdd },
): Promise<boolean> {
  for (let number = lastCommit; number > shown; ) {
    const added = (await commitLog.entry(number))?.tables[key];
    if (!added) return false;
    for (const file of added.adds) visit(asAdd(file));
    number = added.previousCommit ?? 0;
  }
  return true;
}

function asAdd(file: AddedFile): AddAction {
  const { path, eventDate, eventHour, bytes, modifiedAtMs, stats } = file;
  const partitionValues = { event_date: eventDate, event_hour: String(eventHour) };
  return { path, partitionValues, size: bytes, modificationTime: modifiedAtMs, dataChange: true, stats };
}
