import { baseColumns, mergeColumns, quarantineColumns } from "../../topics/table-columns.ts";
import type { UnsettledLanding } from "../landing/live-rows.ts";
import { quoteName, quoteText } from "../parquet/duckdb.ts";
import { landedValue } from "../parquet/landed-select.ts";
import { sqlType, type ViewColumn } from "./column-sql.ts";
import type { TableSnapshot } from "./table-snapshots.ts";
import type { RowGroup } from "./table-view.ts";

/** The columns of landing files that a view reads. */
const landedColumns: readonly ViewColumn[] = [
  { name: "_lane", type: "string" },
  { name: "_hour", type: "integer" },
  ...quarantineColumns,
  ...baseColumns,
  { name: "_values", type: "string" },
];

/** Of the hour of a row's partition. */
const partitionExpressions: Readonly<Record<string, string>> = {
  event_date: "make_timestamp(r._hour::BIGINT * 3600000000)::DATE",
  event_hour: "hour(make_timestamp(r._hour::BIGINT * 3600000000))",
};

/** The rows of landing files that a table lacks, with the table's columns. */
export function landedGroups(snapshot: TableSnapshot): RowGroup[] {
  const expressions = snapshot.columns.map(
    (column) => `(${expressionOf(column, snapshot)})::${sqlType(column.type)} AS ${quoteName(column.name)}`,
  );
  return byLanes(snapshot.landed).map(({ lanes, landed }) => ({
    files: landed.map(({ file }) => file),
    columns: landedColumns,
    select: (from) =>
      `SELECT ${expressions.join(", ")} FROM ${from} r ` +
      `WHERE ${isOfTable(snapshot)} AND r._lane IN (${lanes.map(quoteText).join(", ")})`,
  }));
}

/** At most seven groups: each table settles its lanes up to different commits. */
function byLanes(
  landed: readonly UnsettledLanding[],
): { lanes: UnsettledLanding["lanes"]; landed: UnsettledLanding[] }[] {
  const groups = new Map<string, { lanes: UnsettledLanding["lanes"]; landed: UnsettledLanding[] }>();
  for (const each of landed) {
    const key = each.lanes.join();
    const group = groups.get(key) ?? { lanes: each.lanes, landed: [] };
    group.landed.push(each);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function isOfTable({ versions }: TableSnapshot): string {
  if (versions === null) return "r.reason IS NOT NULL";
  const topics = [...new Set(versions.map(({ topicId }) => topicId))];
  return `r.reason IS NULL AND r.topic_id IN (${topics.map(quoteText).join(", ")})`;
}

/** Columns that only another writer added are null. */
function expressionOf({ name }: ViewColumn, { versions, partitionColumns }: TableSnapshot): string {
  const partition = partitionExpressions[name];
  if (partition !== undefined && partitionColumns.includes(name)) return partition;
  const own = versions ? baseColumns : [...baseColumns, ...quarantineColumns];
  if (own.some((column) => column.name === name)) return `r.${quoteName(name)}`;
  const typed = mergeColumns((versions ?? []).map(({ columns }) => columns));
  const column = typed.find((each) => each.name.toLowerCase() === name.toLowerCase());
  return column ? landedValue(column, versions ?? []) : "NULL";
}
