import { partitionOfKey } from "../../streams/partition-key.ts";
import type { CommitEntry, CommitLog } from "../commit-log/commit-log.ts";
import type { CommittedLanding } from "../commit-log/landed-file.ts";
import { FileSelection } from "../seeding/file-selection.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import type { FollowedFiles, StreamRange } from "./row-reader.ts";
import { type SearchOptions, searchTable } from "./search-table.ts";

/** The files with the rows of an entry. */
export interface EntryFiles {
  readonly landing: CommittedLanding | null;
  /** Of tables whose rows are not in the landing file alone. */
  readonly tables: readonly FollowedFiles[];
}

export function hasRows(entry: CommitEntry): boolean {
  const { landing, tables } = namedFiles(entry);
  return landing !== null || tables.length > 0;
}

/** The files that the entry names. */
export function namedFiles({ landing, tables }: CommitEntry): EntryFiles {
  const files = Object.entries(tables)
    .filter(([, { adds }]) => adds.length > 0)
    .map(([key, { name, version, adds }]): FollowedFiles => {
      const paths = adds.map(({ path }) => `${name}/${path}`);
      return { key, name, version, paths, ranges: null, except: null };
    });
  return { landing: landing ?? null, tables: files };
}

export interface PresentFilesOptions extends SearchOptions {
  readonly commitLog: CommitLog;
}

/**
 * Files with the entry's rows: those that the entry names, or, for a table that has lost some of them, the
 * files that the table shows. If the landing file is gone, each table with rows in it has lost some. The
 * entry's moves tell its rows from others. Rejects with FOLLOWER_ROWS_GONE if rows are missing.
 */
export async function presentFiles(options: PresentFilesOptions, entry: CommitEntry): Promise<EntryFiles> {
  const named = namedFiles(entry);
  const landing = named.landing && (await isThere(options.store, named.landing)) ? named.landing : null;
  const landed = named.landing?.tables ?? {};
  const gone = new Set(await goneDirect(options.store, entry));
  if (landing === null) for (const key of Object.keys(landed)) gone.add(key);
  const tables = named.tables.filter(({ key }) => !gone.has(key));
  for (const key of gone) {
    const direct = entry.tables[key];
    const { name, version } = direct ?? landed[key] ?? { name: key, version: 0 };
    const table = { key, name, version, direct: direct?.adds ?? [], landed: landed[key] };
    const wanted = { commit: entry.number, table, landing: named.landing, isLandingThere: landing !== null };
    tables.push(await searchTable(options, { ...wanted, ranges: rangesOf(entry) }));
  }
  return { landing, tables };
}

/** Keys of the tables that have lost table files of the entry. */
function goneDirect(store: ObjectStore, { tables }: CommitEntry): Promise<string[]> {
  const selection = new FileSelection();
  for (const [key, { name, adds }] of Object.entries(tables))
    for (const { path } of adds) selection.add(key, name, path);
  return selection.dropGone(store);
}

async function isThere(store: ObjectStore, { file }: CommittedLanding): Promise<boolean> {
  for await (const { path } of store.list(file.path)) if (path === file.path) return true;
  return false;
}

function rangesOf({ moves }: CommitEntry): StreamRange[] {
  return Object.entries(moves).map(([key, { from, to }]) => ({ ...partitionOfKey(key), from, to }));
}
