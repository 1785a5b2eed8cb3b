import { quoteName, quoteText } from "../parquet/duckdb.ts";

/** A column of a table or file, with its Delta type. */
export interface ViewColumn {
  readonly name: string;
  readonly type: string;
}

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

export function sqlType(deltaType: string): string {
  if (/^decimal\(\d{1,2}, ?\d{1,2}\)$/.test(deltaType)) return deltaType;
  return sqlTypes[deltaType] ?? "VARCHAR";
}

/** SQL that reads files with these columns from these locations. If a file lacks a column, its rows have nulls. */
export function readFilesSql(columns: readonly ViewColumn[], locations: readonly string[]): string {
  const schema = columns.map(
    ({ name, type }) =>
      `${quoteText(name)}: {name: ${quoteText(name)}, type: ${quoteText(sqlType(type))}, default_value: NULL}`,
  );
  return `read_parquet([${locations.map(quoteText).join(", ")}], schema = MAP {${schema.join(", ")}})`;
}

export function createEmptyTableSql(columns: readonly ViewColumn[], table: string): string {
  return `CREATE TABLE ${table} (${columns.map(({ name, type }) => `${quoteName(name)} ${sqlType(type)}`).join(", ")})`;
}

export function literalSql(value: string | null | undefined, type: string): string {
  // In Delta, an empty partition value is null.
  const text = value === undefined || value === null || value === "" ? "NULL" : quoteText(value);
  return `${text}::${sqlType(type)}`;
}
