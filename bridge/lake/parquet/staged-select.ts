import type { ColumnType } from "../../topics/topic-catalog.ts";

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
