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
export function createViewSql(snapshot: TableSnapshot, sources: readonly FileSource[]): string {
  const { fault } = snapshot;
  const selects =
    sources.length === 0 || fault !== null
      ? [emptySelect(snapshot)]
      : sources.map((source) => selectFrom(snapshot, source));
  return `CREATE OR REPLACE VIEW ${quoteName(snapshot.name)} AS ${selects.join(" UNION ALL ")}`;
}

/** Files with the same partition values, and what stands for their rows in SQL. */
export interface FileSource {
  readonly files: readonly SnapshotFile[];
  /** A table name or function. */
  readonly from: string;
}

/** Of a table with a fault: says so to whoever reads it. */
function emptySelect({ columns, fault }: TableSnapshot): string {
  const nulls = columns.map(({ name, type }) => `NULL::${sqlType(type)} AS ${quoteName(name)}`);
  const condition = fault === null ? "false" : `error(${quoteText(fault.message)})::BOOLEAN`;
  return `SELECT ${nulls.join(", ")} WHERE ${condition}`;
}

export function filesByPartition(files: readonly SnapshotFile[]): SnapshotFile[][] {
  const groups = new Map<string, SnapshotFile[]>();
  for (const file of files) {
    const key = JSON.stringify(Object.entries(file.partitionValues).sort());
    const group = groups.get(key);
    if (group) group.push(file);
    else groups.set(key, [file]);
  }
  return [...groups.values()];
}

function selectFrom(snapshot: TableSnapshot, { files, from }: FileSource): string {
  const values = files[0]?.partitionValues ?? {};
  const isPartition = new Set(snapshot.partitionColumns);
  const columns = snapshot.columns.map(({ name, type }) =>
    isPartition.has(name) ? `${literal(values[name], type)} AS ${quoteName(name)}` : quoteName(name),
  );
  return `SELECT ${columns.join(", ")} FROM ${from}`;
}

/** Reads files of the table from the places given. */
export function readFilesSql(snapshot: TableSnapshot, locations: readonly string[]): string {
  const schema = fileColumns(snapshot).map(
    ({ name, type }) =>
      `${quoteText(name)}: {name: ${quoteText(name)}, type: ${quoteText(sqlType(type))}, default_value: NULL}`,
  );
  return `read_parquet([${locations.map(quoteText).join(", ")}], schema = MAP {${schema.join(", ")}})`;
}

/** An empty table with the columns of the table's files. */
export function createEmptyTableSql(snapshot: TableSnapshot, table: string): string {
  const columns = fileColumns(snapshot).map(({ name, type }) => `${quoteName(name)} ${sqlType(type)}`);
  return `CREATE TABLE ${table} (${columns.join(", ")})`;
}

function fileColumns({ columns, partitionColumns }: TableSnapshot): TableSnapshot["columns"] {
  const isPartition = new Set(partitionColumns);
  return columns.filter(({ name }) => !isPartition.has(name));
}

function literal(value: string | null | undefined, type: string): string {
  // Delta: the empty string is null.
  const text = value === undefined || value === null || value === "" ? "NULL" : quoteText(value);
  return `${text}::${sqlType(type)}`;
}
