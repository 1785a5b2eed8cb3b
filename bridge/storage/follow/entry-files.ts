import type { CommitEntry, CommitLog, TableAdds } from "../commit-log.ts";
import { partitionOfKey } from "../commit-log.ts";
import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import { decodePath } from "../delta/delta-table.ts";
import { FileSelection } from "../file-selection.ts";
import type { ObjectStore } from "../object-store.ts";
import { eachTableFile } from "../table-files.ts";
import { rowsGone } from "./follower-errors.ts";
import type { FollowedFiles, RowReader, StreamRange } from "./row-reader.ts";

/** The files that the entry names. */
export function namedFiles({ tables }: CommitEntry): FollowedFiles[] {
  return Object.entries(tables)
    .filter(([, { adds }]) => adds.length > 0)
    .map(([key, { name, version, adds }]) => {
      const paths = adds.map(({ path }) => `${name}/${path}`);
      return { key, name, version, paths, ranges: null };
    });
}

export interface PresentFilesOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly reader: RowReader;
  readonly checkpoints: CheckpointFiles | undefined;
}

/**
 * Where the entry's rows stand now: in the files that it names; of a table that has lost some of these, in what the table shows. The entry's
 * moves tell its rows from others. Rejects with FOLLOWER_ROWS_GONE if they are not all there.
 */
export async function presentFiles(
  options: PresentFilesOptions,
  entry: CommitEntry,
): Promise<FollowedFiles[]> {
  const named = namedFiles(entry);
  const selection = new FileSelection();
  for (const [key, { name, adds }] of Object.entries(entry.tables))
    for (const { path } of adds) selection.add(key, name, path);
  const gone = new Set(await selection.dropGone(options.store));
  const files: FollowedFiles[] = [];
  for (const each of named) files.push(gone.has(each.key) ? await shownFiles(options, entry, each) : each);
  return files;
}

async function shownFiles(
  { store, commitLog, reader, checkpoints }: PresentFilesOptions,
  entry: CommitEntry,
  files: FollowedFiles,
): Promise<FollowedFiles> {
  const { key, name } = files;
  const added = entry.tables[key] as TableAdds;
  const hours = new Set(added.adds.map(({ eventDate, eventHour }) => `${eventDate}/${eventHour}`));
  const paths = new Set<string>();
  const table = (await commitLog.load()).tables.get(key);
  const fault =
    table &&
    (await eachTableFile({ store, commitLog, checkpoints }, { key, ...table }, (add) => {
      const { event_date: date, event_hour: hour } = add.partitionValues;
      if (hours.has(`${date}/${hour}`)) paths.add(`${table.name}/${decodePath(add.path)}`);
    }));
  if (fault) throw fault;
  const shown = { ...files, paths: [...paths], ranges: rangesOf(entry) };
  const found = paths.size > 0 ? await reader.count(shown) : 0;
  const committed = added.adds.reduce((sum, { rows }) => sum + rows, 0);
  if (found !== committed)
    throw rowsGone({ commit: entry.number, row: 0, table: name }, { committed, found });
  return shown;
}

function rangesOf({ moves }: CommitEntry): StreamRange[] {
  return Object.entries(moves).map(([key, { from, to }]) => ({ ...partitionOfKey(key), from, to }));
}
