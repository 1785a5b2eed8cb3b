import {
  baseColumns,
  mergeColumns,
  quarantineColumns,
  type TableColumn,
} from "../../topics/table-columns.ts";
import type { ColumnType, TypedColumn } from "../../topics/topic-catalog.ts";
import { quoteName } from "./duckdb.ts";
import { typedColumnName } from "./staged-rows.ts";

/** Rows staged for one version of a topic, or for `_quarantine` without typed columns. */
export interface StagedSource {
  readonly stagingName: string;
  readonly columns: readonly TypedColumn[];
}

export const sqlTypes: Record<ColumnType, string> = {
  boolean: "BOOLEAN",
  long: "BIGINT",
  double: "DOUBLE",
  string: "VARCHAR",
  timestamp: "TIMESTAMPTZ",
};

/** The base columns that are not staged as they are: of a row `r` and its block `b`. */
export const baseExpressions: Readonly<Record<string, string>> = {
  event_time: "make_timestamptz(r.event_ms::BIGINT * 1000 + r.event_micros)",
  ingest_time: "make_timestamptz(b.ingest_ms::BIGINT * 1000)",
  _stream: "b.stream",
  _partition: "b.partition",
  _position: "b.position",
  _stream_time: "make_timestamptz(b.stream_ms::BIGINT * 1000)",
};

function typedExpression(column: TypedColumn, source: StagedSource): string {
  const index = source.columns.findIndex(({ name }) => name.toLowerCase() === column.name.toLowerCase());
  if (index < 0) return `NULL::${sqlTypes[column.type]}`;
  const staged = `r.${typedColumnName(index)}`;
  if (source.columns[index]?.type === column.type)
    return column.type === "timestamp" ? `make_timestamptz(${staged})` : staged;
  return `TRY_CAST(${staged} AS ${sqlTypes[column.type]})`;
}

/** Columns of a file with rows of these sources (highest version first). */
export function fileColumns(sources: readonly StagedSource[], isQuarantine: boolean): TableColumn[] {
  if (isQuarantine) return [...baseColumns, ...quarantineColumns];
  return [...baseColumns, ...mergeColumns(sources.map(({ columns }) => columns))];
}

/** SELECT of one file's rows, with the file's column order, sorted by event time. */
export function selectFile(
  sources: readonly StagedSource[],
  isQuarantine: boolean,
  blockTable: string,
  fileNumber: number,
): string {
  const typed = isQuarantine ? [] : mergeColumns(sources.map(({ columns }) => columns));
  const own = isQuarantine ? [...baseColumns, ...quarantineColumns] : baseColumns;
  const selects = sources.map((source) => {
    const expressions = [
      ...own.map(({ name }) => `${baseExpressions[name] ?? `r.${name}`} AS ${quoteName(name)}`),
      ...typed.map((column) => `${typedExpression(column, source)} AS ${quoteName(column.name)}`),
    ];
    return (
      `SELECT ${expressions.join(", ")} FROM ${quoteName(source.stagingName)} r ` +
      `JOIN ${quoteName(blockTable)} b ON b.block = r.block WHERE r.file = ${fileNumber}`
    );
  });
  return `SELECT * FROM (${selects.join(" UNION ALL ")}) ORDER BY event_time`;
}
