import type { ColumnType, TypedColumn } from "../consumer/topic-catalog.ts";

/** Delta primitive types that our tables use. */
export type DeltaType = ColumnType | "integer" | "binary" | "date";

export interface TableColumn {
  readonly name: string;
  readonly type: DeltaType;
}

/** Columns that every table starts with, in this order. Times are UTC microseconds. */
export const baseColumns: readonly TableColumn[] = [
  { name: "device_id", type: "string" },
  { name: "topic", type: "string" },
  { name: "message_id", type: "binary" },
  { name: "event_time", type: "timestamp" },
  { name: "ingest_time", type: "timestamp" },
  { name: "payload", type: "binary" },
  { name: "payload_crc", type: "integer" },
  { name: "event_time_outside", type: "boolean" },
  { name: "_stream", type: "string" },
  { name: "_partition", type: "string" },
  { name: "_position", type: "string" },
  { name: "_index", type: "integer" },
  { name: "_stream_time", type: "timestamp" },
];

/** What `_quarantine` has beside the base columns. `topic_id` says for which topic the row's id counts. */
export const quarantineColumns: readonly TableColumn[] = [
  { name: "reason", type: "string" },
  { name: "detail", type: "string" },
  { name: "topic_id", type: "string" },
  { name: "topic_version", type: "integer" },
];

/** In the Delta schema, not in the files: Delta readers take them from the log. */
export const partitionColumns: readonly TableColumn[] = [
  { name: "event_date", type: "date" },
  { name: "event_hour", type: "integer" },
];

/** Names that no Parquet file holds: version 0.1.0 accepted such columns, and their values stay in the payload alone. */
function fitsNoFile(name: string): boolean {
  return name.includes("\0") || !name.isWellFormed();
}

/** The columns that rows of several versions of a topic share: the highest version's, then what only older ones had. */
export function mergeColumns(versions: readonly (readonly TypedColumn[])[]): TypedColumn[] {
  const merged = new Map<string, TypedColumn>();
  for (const columns of versions)
    for (const column of columns) {
      const name = column.name.toLowerCase();
      if (!merged.has(name) && !fitsNoFile(name)) merged.set(name, column);
    }
  return [...merged.values()];
}
