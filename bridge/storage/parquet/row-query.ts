import { END_POSITION, START_POSITION } from "../../streams/stream-log.ts";
import { QUARANTINE } from "../commit-log.ts";
import type { FollowedFiles, StreamRange } from "../follow/row-reader.ts";
import type { LocalCopies } from "../object-store.ts";
import { baseColumns, type DeltaType, partitionColumns, quarantineColumns } from "../table-columns.ts";
import { quoteName, quoteText } from "./duckdb.ts";
import { eventMs, microsOfEvent, streamTime } from "./row-times.ts";
import { piecedColumn } from "./seed-chunk.ts";

const sqlTypes: Record<DeltaType, string> = {
  boolean: "BOOLEAN",
  integer: "INTEGER",
  long: "BIGINT",
  double: "DOUBLE",
  string: "VARCHAR",
  timestamp: "TIMESTAMPTZ",
  binary: "BLOB",
  date: "DATE",
};

/** A position so that its stream's order is that of texts: see `comparePositions`. */
const positionKey = keyOf("_position");

/** SELECT of the rows in their order: what `decodeRows` reads, then the typed columns. */
export function rowQuery(files: FollowedFiles, copies: LocalCopies): string {
  const columns = [
    piecedColumn("encode(device_id)"),
    piecedColumn("message_id"),
    piecedColumn("encode(topic)"),
    piecedColumn("encode(_position)"),
    "_stream",
    "_partition::INTEGER",
    "_index",
    "message_id IS NULL",
    "payload",
    "payload_crc",
    `${eventMs}::DOUBLE`,
    microsOfEvent,
    "event_time_outside",
    "epoch_ms(ingest_time)::DOUBLE",
    `epoch_ms(${streamTime})::DOUBLE`,
    ...(isQuarantine(files) ? ["reason", "detail", "topic_id", "topic_version"] : []),
    `* EXCLUDE (${knownColumns(files).map(quoteName).join(", ")})`,
  ];
  return (
    `SELECT ${columns.join(", ")} FROM ${source(files, copies)} ` +
    `ORDER BY _stream, _partition::INTEGER, ${positionKey}, _index`
  );
}

export function countQuery(files: FollowedFiles, copies: LocalCopies): string {
  return `SELECT count(*)::INTEGER FROM ${source(files, copies)}`;
}

function isQuarantine({ key }: FollowedFiles): boolean {
  return key === QUARANTINE;
}

function knownColumns(files: FollowedFiles): string[] {
  const own = isQuarantine(files) ? [...baseColumns, ...quarantineColumns] : baseColumns;
  return [...own, ...partitionColumns].map(({ name }) => name);
}

/** With every known column: files of 0.1.0 lack one, those of other writers any. */
function source(files: FollowedFiles, copies: LocalCopies): string {
  const locations = files.paths.map((path) => quoteText(copies.location(path)));
  const own = isQuarantine(files) ? [...baseColumns, ...quarantineColumns] : baseColumns;
  const nulls = [...own, ...partitionColumns].map(
    ({ name, type }) => `NULL::${sqlTypes[type]} AS ${quoteName(name)}`,
  );
  const where = files.ranges === null ? "" : ` WHERE ${inRanges(files.ranges)}`;
  return (
    `(SELECT * FROM read_parquet([${locations.join(", ")}], union_by_name = true, hive_partitioning = false) ` +
    `UNION ALL BY NAME SELECT ${nulls.join(", ")} WHERE false)${where}`
  );
}

function inRanges(ranges: readonly StreamRange[]): string {
  return ranges.length === 0 ? "false" : `(${ranges.map(inRange).join(" OR ")})`;
}

function inRange({ streamId, partition, from, to }: StreamRange): string {
  const after = from === START_POSITION ? "" : ` AND ${positionKey} > ${keyOf(quoteText(from))}`;
  const upTo = to === END_POSITION ? "" : ` AND ${positionKey} <= ${keyOf(quoteText(to))}`;
  return `(_stream = ${quoteText(streamId)} AND _partition = ${quoteText(String(partition))}${after}${upTo})`;
}

function keyOf(position: string): string {
  const parts = [1, 2].map((part) => `split_part(${position}, '-', ${part})`);
  return parts.map((part) => `lpad(length(${part})::VARCHAR, 3, '0') || ${part}`).join(" || ");
}
