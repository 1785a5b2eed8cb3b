import type { ObjectStore } from "../object-store.ts";
import type { SnapshotFile, TableSnapshot } from "../table-snapshots.ts";
import { quoteName, quoteText } from "./duckdb.ts";

const sqlTypes: Readonly<Record<string, string>> = {
  string: "VARCHAR",
  long: "BIGINT",
  integer: "INTEGER",
  short: "SMALLINT",
  byte: "TINYINT",
  float: "FLOAT",
  double: "DOUBLE",
  boolean: "BOOLEAN",
  binary: "BLOB",
  date: "DATE",
  timestamp: "TIMESTAMPTZ",
  timestamp_ntz: "TIMESTAMP",
};

function sqlType(deltaType: string): string {
  if (/^decimal\(\d{1,2}, ?\d{1,2}\)$/.test(deltaType)) return deltaType;
  return sqlTypes[deltaType] ?? "VARCHAR";
}

/**
 * A view of a table's live files. Columns and types come from the Delta schema, partition values from the Delta log, never from a
 * file or its path: a file that lacks a column shows nulls.
 */
export function createViewSql(store: ObjectStore, snapshot: TableSnapshot): string {
  const selects =
    snapshot.files.length === 0
      ? [emptySelect(snapshot)]
      : filesByPartition(snapshot.files).map((files) => selectFiles(store, snapshot, files));
  return `CREATE VIEW ${quoteName(snapshot.name)} AS ${selects.join(" UNION ALL ")}`;
}

function emptySelect({ columns }: TableSnapshot): string {
  const nulls = columns.map(({ name, type }) => `NULL::${sqlType(type)} AS ${quoteName(name)}`);
  return `SELECT ${nulls.join(", ")} WHERE false`;
}

function filesByPartition(files: readonly SnapshotFile[]): SnapshotFile[][] {
  const groups = new Map<string, SnapshotFile[]>();
  for (const file of files) {
    const key = JSON.stringify(Object.entries(file.partitionValues).sort());
    const group = groups.get(key);
    if (group) group.push(file);
    else groups.set(key, [file]);
  }
  return [...groups.values()];
}

function selectFiles(store: ObjectStore, snapshot: TableSnapshot, files: readonly SnapshotFile[]): string {
  const values = files[0]?.partitionValues ?? {};
  const isPartition = new Set(snapshot.partitionColumns);
  const inFiles = snapshot.columns.filter(({ name }) => !isPartition.has(name));
  const schema = inFiles.map(
    ({ name, type }) =>
      `${quoteText(name)}: {name: ${quoteText(name)}, type: ${quoteText(sqlType(type))}, default_value: NULL}`,
  );
  const columns = snapshot.columns.map(({ name, type }) =>
    isPartition.has(name) ? `${literal(values[name], type)} AS ${quoteName(name)}` : quoteName(name),
  );
  const locations = files.map(({ path }) => quoteText(store.readableLocation(path)));
  return `SELECT ${columns.join(", ")} FROM read_parquet([${locations.join(", ")}], schema = MAP {${schema.join(", ")}})`;
}

function literal(value: string | null | undefined, type: string): string {
  // Delta: the empty string is null.
  const text = value === undefined || value === null || value === "" ? "NULL" : quoteText(value);
  return `${text}::${sqlType(type)}`;
}
