import { type AddedFile, type CommitEntry, quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import { comparePlaces } from "../../bridge/lake/follow/stream-order.ts";
import { type FiledRow, readRows } from "./json-lake.ts";

// What entries of the commit log say is in the lake. Tests ask here, so that the form of an entry is known in
// one place.

/** A file that an entry names. */
export interface CommittedFile {
  /** Topic id, or `_quarantine`. */
  readonly table: string;
  /** Folder of the table. */
  readonly name: string;
  /** Path in the store. */
  readonly path: string;
  readonly add: AddedFile;
}

export interface CommittedRow extends FiledRow {
  /** Topic id, or `_quarantine`. */
  readonly table: string;
  /** Number of the entry. */
  readonly commit: number;
  /** The file that the entry names for it. */
  readonly path: string;
}

/** Bytes of an object by its path; undefined = its rows are left out. */
export type BytesOf = (path: string) => Uint8Array | undefined;

export function committedFiles({ tables }: Pick<CommitEntry, "tables">): CommittedFile[] {
  return Object.entries(tables).flatMap(([table, { name, adds }]) =>
    adds.map((add) => ({ table, name, path: `${name}/${add.path}`, add })),
  );
}

/** Names of the tables that got files by an entry, by topic id or `_quarantine`. */
export function committedTables({ tables }: Pick<CommitEntry, "tables">): ReadonlyMap<string, string> {
  return new Map(Object.entries(tables).map(([table, { name }]) => [table, name]));
}

/**
 * The rows of JSON files (`JsonBatchWriter`, `JsonLandingWriter`) that the entries committed, in the order of
 * commits; in a commit, by table in the order of its files, and in a file in the order of filing.
 */
export function committedRows(bytesOf: BytesOf, entries: readonly CommitEntry[]): CommittedRow[] {
  return entries.flatMap((entry) => {
    const byTable = new Map<string, CommittedRow[]>();
    const add = (table: string, path: string, row: FiledRow) => {
      const rows = byTable.get(table) ?? [];
      rows.push({ ...row, table, commit: entry.number, path });
      byTable.set(table, rows);
    };
    const rowsOf = (path: string) => {
      const bytes = bytesOf(path);
      return bytes ? readRows(bytes) : [];
    };
    for (const { table, path } of committedFiles(entry))
      for (const row of rowsOf(path)) add(table, path, row);
    const landing = entry.landing?.file.path;
    if (landing !== undefined)
      for (const row of rowsOf(landing)) add(row.reason === null ? row.topicId : quarantineKey, landing, row);
    return [...byTable.values()]
      .toSorted(([left], [right]) => (left && right ? comparePlaces(left, right) : 0))
      .flat();
  });
}
