import type { ColumnType, TypedColumn } from "../../topics/topic-catalog.ts";
import type { LandedVersion } from "../landing/row-files.ts";
import { quoteText } from "./duckdb.ts";
import { sqlTypes } from "./staged-select.ts";

/** How `_values` holds a type; a timestamp is a number of µs. */
const landedTypes: Record<ColumnType, string> = { ...sqlTypes, timestamp: "BIGINT" };

/**
 * SQL for the value of a table's column in a row `r` of a landing file. Null if the row's version has no such
 * column, or a value of another type that does not fit.
 * @param versions All versions of which the file may have rows.
 */
export function landedValue(column: TypedColumn, versions: readonly LandedVersion[]): string {
  const cases = versions.flatMap(({ topicId, version, columns }) => {
    const index = columns.findIndex(({ name }) => name.toLowerCase() === column.name.toLowerCase());
    const landed = columns[index];
    return landed ? [`WHEN ${isOf(topicId, version)} THEN ${typed(column.type, landed.type, index)}`] : [];
  });
  if (cases.length === 0) return `NULL::${sqlTypes[column.type]}`;
  return `CASE ${cases.join(" ")} END`;
}

function isOf(topicId: string, version: number): string {
  return `r.topic_version = ${version} AND r.topic_id = ${quoteText(topicId)}`;
}

function typed(type: ColumnType, landed: ColumnType, index: number): string {
  const value =
    landed === "string" ? `(r._values ->> ${index})` : `(r._values -> ${index})::${landedTypes[landed]}`;
  if (landed !== type) return `TRY_CAST(${value} AS ${sqlTypes[type]})`;
  return type === "timestamp" ? `make_timestamptz(${value})` : value;
}
