import type { AddedFile, CommitLog } from "../commit-log/commit-log.ts";
import { rowsGone } from "../commit-log/follower-errors.ts";
import type { CommittedLanding, LandedFile, LandedTable } from "../commit-log/landed-file.ts";
import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import { type AddAction, decodePath } from "../delta/delta-actions.ts";
import { statisticsTime } from "../delta/statistics-times.ts";
import { eachTableFile } from "../delta/table-files.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import type { FollowedFiles, RowReader, StreamRange } from "./row-reader.ts";

/** Files to count rows in at once: a store that is not on this disk copies them. */
const filesAtOnce = 16;

export interface SearchOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly reader: RowReader;
  readonly checkpoints: CheckpointFiles | undefined;
}

/** Rows of an entry to find in one table. */
export interface WantedRows {
  /** Number of the entry. */
  readonly commit: number;
  readonly table: {
    readonly key: string;
    readonly name: string;
    readonly version: number;
    /** The table files of the entry. */
    readonly direct: readonly AddedFile[];
    readonly landed: LandedTable | undefined;
  };
  readonly landing: CommittedLanding | null;
  /** True: landed rows come from the landing file, so the table's are left out. */
  readonly isLandingThere: boolean;
  /** The rows' places in the stream. */
  readonly ranges: readonly StreamRange[];
}

/**
 * Finds the rows in the files that hold the table's rows now: rows of table files that another writer
 * replaced, and landed rows that were settled. Rejects with FOLLOWER_ROWS_GONE if rows are missing.
 */
export async function searchTable(options: SearchOptions, wanted: WantedRows): Promise<FollowedFiles> {
  const { commit, ranges, landing, isLandingThere } = wanted;
  const { key, name, version, direct, landed } = wanted.table;
  const except = isLandingThere ? (landing?.file.path ?? null) : null;
  const { folder, paths } = await candidates(options, wanted);
  const files = { key, name, version, ranges, except };
  const kept: string[] = [];
  const landedRows = rowsOf(landed);
  let found = isLandingThere ? landedRows : 0;
  for (let start = 0; start < paths.length; start += filesAtOnce) {
    const some = paths.slice(start, start + filesAtOnce);
    const rows = await options.reader.count({ ...files, paths: some });
    found += rows;
    if (rows > 0) kept.push(...some);
  }
  const committed = direct.reduce((sum, { rows }) => sum + rows, landedRows);
  if (found !== committed) throw rowsGone({ commit, row: 0, table: folder }, { committed, found });
  return { ...files, paths: kept };
}

/** Paths of the table's files that may hold the rows. */
async function candidates(
  { store, commitLog, checkpoints }: SearchOptions,
  wanted: WantedRows,
): Promise<{ folder: string; paths: string[] }> {
  const { key, name, direct, landed } = wanted.table;
  const hours = new Set(direct.map(({ eventDate, eventHour }) => `${eventDate}/${eventHour}`));
  // An entry does not say the hours of landed rows.
  const settled = landed && !wanted.isLandingThere ? wanted.landing?.file : undefined;
  const paths = new Set<string>();
  const { name: folder } = (await commitLog.load()).tables.get(key) ?? { name };
  const fault = await eachTableFile({ store, commitLog, checkpoints }, key, (add) => {
    const { event_date: date, event_hour: hour } = add.partitionValues;
    const mayHoldRows = hours.has(`${date}/${hour}`) || (settled && mayHoldStreamTimes(add, settled));
    if (mayHoldRows) paths.add(`${folder}/${decodePath(add.path)}`);
  });
  if (fault) throw fault;
  return { folder, paths: [...paths] };
}

/** Decides by the file's statistics; true if it has none. */
function mayHoldStreamTimes({ stats }: AddAction, { minStreamMs, maxStreamMs }: LandedFile): boolean {
  const earliest = statisticsTime(stats, "minValues", "_stream_time");
  const latest = statisticsTime(stats, "maxValues", "_stream_time");
  // A time that can't be read is NaN, which excludes nothing. Statistics may be cut to whole milliseconds.
  const isBefore = latest !== undefined && Date.parse(latest) + 1 < minStreamMs;
  const isAfter = earliest !== undefined && Date.parse(earliest) - 1 > maxStreamMs;
  return !isBefore && !isAfter;
}

function rowsOf(landed: LandedTable | undefined): number {
  return Object.values(landed?.rows ?? {}).reduce((sum, rows) => sum + rows, 0);
}
