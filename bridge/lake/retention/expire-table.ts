import { BridgeError } from "../../errors.ts";
import type { TableColumn } from "../../topics/table-columns.ts";
import { type LaneCommits, lanes } from "../commit-log/lane-commits.ts";
import { logFolder } from "../delta/delta-log.ts";
import { checkRemove } from "../delta/delta-schema.ts";
import type { DeltaState } from "../delta/delta-state.ts";
import type { DeltaTable } from "../delta/delta-table.ts";
import { settledLanes } from "../delta/lane-transactions.ts";
import { writeCheckpoint } from "../delta/table-checkpoint.ts";
import { createVersion } from "../delta/table-transaction.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { type ExpiredFile, expiredFiles } from "./expired-files.ts";
import { type RetentionBound, retentionEntry, stillShown } from "./retention-entry.ts";

/** Files that one entry removes: about 1.5 MB of actions. */
const defaultRemovesMax = 5_000;
/** Files that are found at once; a checkpoint follows when so many were removed. */
const defaultFilesMax = 50_000;

export interface ExpirePorts {
  readonly store: ObjectStore;
  /** Called after each entry. */
  readonly onRemoved: (files: readonly ExpiredFile[]) => void;
  readonly onLostRace?: () => void;
  readonly removesMax?: number;
  readonly filesMax?: number;
}

export interface TableToExpire extends RetentionBound {
  readonly table: DeltaTable;
  /** Of the rows that are filed into the table. */
  readonly columns: readonly TableColumn[];
  /** The commit log's own bounds, read before the table: the table shows at least so much. */
  readonly settled: LaneCommits;
}

/**
 * - `done`: nothing below the bound is left.
 * - `more`: files are left for the next call.
 */
export type ExpireOutcome = "done" | "more";

/**
 * Removes files of hours below the bound, the oldest ones first, by entries of bounded size. A table without such
 * files gets no version. What another writer removed meanwhile is left out. Rejects with TABLE_APPEND_ONLY,
 * TABLE_CONFLICT or LAKE_DAMAGED if rows may not be removed from the table as it is; with ROWS_UNDATED if files
 * stay that do not say their ingest times, once all others are removed; with the signal's reason between two
 * entries; with STORE_UNAVAILABLE: an entry may exist then, and the next call finds the rest.
 */
export async function expireTable(
  { store, onRemoved, onLostRace, removesMax = defaultRemovesMax, filesMax = defaultFilesMax }: ExpirePorts,
  { table, columns, settled, ...bound }: TableToExpire,
  signal: AbortSignal,
): Promise<ExpireOutcome> {
  const state = await table.refresh();
  if (state.version < 0) return "done";
  const base = state.base?.version;
  const { files, hasMore, undated } = await expiredFiles(table, bound, filesMax);
  for (const entry of entriesOf(files, removesMax)) {
    signal.throwIfAborted();
    let removed: readonly ExpiredFile[] = [];
    const outcome = await createVersion<"nothing" | "rebased">(
      table,
      (now) => {
        check(table.name, now, { columns, settled, lakeId: bound.lakeId });
        // What was removed before the new checkpoint is not known.
        if (now.base?.version !== base) return "rebased";
        removed = stillShown(now, entry, bound);
        return removed.length === 0 ? "nothing" : retentionEntry(now, removed, bound);
      },
      onLostRace,
    );
    if (outcome === "rebased") return "more";
    if (outcome === "created") onRemoved(removed);
  }
  if (files.length > 0 && table.isCheckpointDue() && !(await table.isLeftBehind()))
    await writeCheckpoint(store, table, bound.storeMs);
  if (hasMore) return "more";
  if (undated !== null) throw undatedFile(table.name, undated);
  return "done";
}

function undatedFile(table: string, path: string): BridgeError {
  return new BridgeError(
    "ROWS_UNDATED",
    `the statistics of ${table}/${path} do not say when its newest row was ingested, so it stays`,
    { retryable: false, details: { table, path: `${table}/${path}` } },
  );
}

/** Whole hours, as far as they fit. Files come in the order of their hours. */
function* entriesOf(files: readonly ExpiredFile[], removesMax: number): Generator<ExpiredFile[]> {
  let entry: ExpiredFile[] = [];
  for (let from = 0, to = 0; from < files.length; from = to) {
    while (files[to]?.hour === files[from]?.hour && to < files.length) to++;
    const ofHour = files.slice(from, to);
    if (entry.length > 0 && entry.length + ofHour.length > removesMax) {
      yield entry;
      entry = [];
    }
    entry.push(...ofHour);
    while (entry.length > removesMax) yield entry.splice(0, removesMax);
  }
  if (entry.length > 0) yield entry;
}

/** Throws if the table forbids that rows are removed, or is parked. */
function check(
  name: string,
  { protocol, metaData, txns }: Readonly<DeltaState>,
  { columns, settled, lakeId }: Pick<TableToExpire, "columns" | "settled" | "lakeId">,
): void {
  if (protocol && metaData) checkRemove(name, { protocol, metaData }, columns);
  const shown = settledLanes(txns, lakeId);
  const lane = lanes.find((each) => shown[each] < settled[each]);
  if (lane === undefined) return;
  throw new BridgeError(
    "LAKE_DAMAGED",
    `table ${name} shows commits of lane ${lane} up to ${shown[lane]}, the commit log says up to ${settled[lane]}: its log was replaced by an older one`,
    { retryable: false, details: { table: name, path: logFolder(name) } },
  );
}
