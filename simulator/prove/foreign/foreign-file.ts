import { randomUUID } from "node:crypto";
import type { LiveFile } from "./foreign-log.ts";
import { type Column, rowFile } from "./foreign-parquet.ts";

/** A file with one row, of a device that no fleet has. Its columns are those that every table has. */
export async function foreignFile(nowMs: number): Promise<Omit<LiveFile, "size"> & { bytes: Buffer }> {
  const time = new Date(nowMs).toISOString();
  const columns = rowAt(time);
  const [event_date, event_hour] = [time.slice(0, 10), String(Number(time.slice(11, 13)))];
  return {
    path: `event_date=${event_date}/event_hour=${event_hour}/${randomUUID()}.parquet`,
    partitionValues: { event_date, event_hour },
    stats: JSON.stringify(statisticsOf(columns)),
    bytes: await rowFile(columns),
  };
}

function rowAt(time: string): readonly Column[] {
  return [
    { name: "device_id", type: "VARCHAR", value: "foreign-device" },
    { name: "topic", type: "VARCHAR", value: "foreign" },
    { name: "message_id", type: "BLOB", value: null },
    { name: "event_time", type: "TIMESTAMPTZ", value: time },
    { name: "ingest_time", type: "TIMESTAMPTZ", value: time },
    { name: "payload", type: "BLOB", value: "{}" },
    { name: "payload_crc", type: "INTEGER", value: 0 },
    { name: "event_time_outside", type: "BOOLEAN", value: false },
    { name: "_stream", type: "VARCHAR", value: "foreign" },
    { name: "_partition", type: "VARCHAR", value: "0" },
    { name: "_position", type: "VARCHAR", value: "" },
    { name: "_index", type: "INTEGER", value: 0 },
    { name: "_stream_time", type: "TIMESTAMPTZ", value: time },
  ];
}

/** Of one row: its values are the least and the largest. Bytes have no bounds. */
function statisticsOf(columns: readonly Column[]) {
  const bounded = columns.filter(({ type }) => type !== "BLOB");
  const values = Object.fromEntries(bounded.map(({ name, value }) => [name, value]));
  const nulls = columns.map(({ name, value }) => [name, value === null ? 1 : 0]);
  return { numRecords: 1, minValues: values, maxValues: values, nullCount: Object.fromEntries(nulls) };
}
