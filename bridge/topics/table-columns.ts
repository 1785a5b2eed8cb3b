import type { ColumnType, TypedColumn } from "./topic-catalog.ts";

/** The Delta primitive types of our tables. */
export type DeltaType = ColumnType | "integer" | "binary" | "date";

export interface TableColumn {
  readonly name: string;
  readonly type: DeltaType;
}

/** The first columns of every table, in this order. Times are UTC, to the microsecond. */
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

/**
 * Columns of `_quarantine` after the base columns. `topic_id` names the topic in which the row's id counts
 * for deduplication.
 */
export const quarantineColumns: readonly TableColumn[] = [
  { name: "reason", type: "string" },
  { name: "detail", type: "string" },
  { name: "topic_id", type: "string" },
  { name: "topic_version", type: "integer" },
];

/** Columns of the Delta schema that the files do not hold: readers take their values from the Delta log. */
export const partitionColumns: readonly TableColumn[] = [
  { name: "event_date", type: "date" },
  { name: "event_hour", type: "integer" },
];

/**
 * True for names that a Parquet file can't hold. Version 0.1.0 accepted such columns; their values are only
 * in the payload.
 */
function fitsNoFile(name: string): boolean {
  return name.includes("\0") || !name.isWellFormed();
}

/**
 * The columns of a table with rows of several topic versions: those of the first version given, then those
 * that only later ones have.
 */
export function mergeColumns(versions: readonly (readonly TypedColumn[])[]): TypedColumn[] {
  const merged = new Map<string, TypedColumn>();
  for (const columns of versions)
    for (const column of columns) {
      const name = column.name.toLowerCase();
      if (!merged.has(name) && !fitsNoFile(name)) merged.set(name, column);
    }
  return [...merged.values()];
}
