import { endPosition, startPosition } from "../../../streams/stream-log.ts";
import {
  baseColumns,
  type DeltaType,
  partitionColumns,
  quarantineColumns,
} from "../../../topics/table-columns.ts";
import { quarantineKey } from "../../commit-log/commit-log.ts";
import { quoteName, quoteText } from "../../parquet/duckdb.ts";
import { eventMs, microsOfEvent, streamTime } from "../../parquet/row-times.ts";
import { piecedColumn } from "../../parquet/seed-chunk.ts";
import type { LocalCopies } from "../../stores/object-store.ts";
import type { FollowedFiles, StreamRange } from "../row-reader.ts";

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

/** Sort key: the text order of the keys is the stream's order of the positions, see `comparePositions`. */
const positionKey = keyOf("_position");
/** No two messages have the same. */
const place = "_stream, _partition, _position, _index";

/** SELECT list of what `baseDecoder` reads. */
export const baseSelection: readonly string[] = [
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
];

/** The order of `comparePlaces`. */
export const streamOrder = `ORDER BY _stream, _partition::INTEGER, ${positionKey}, _index`;

/** SELECT of the rows in stream order: first the columns that `decodeRows` reads, then the typed columns. */
export function rowQuery(files: FollowedFiles, copies: LocalCopies): string {
  const columns = [
    ...baseSelection,
    ...(isQuarantine(files) ? ["reason", "detail", "topic_id", "topic_version"] : []),
    `* EXCLUDE (${knownColumns(files).map(quoteName).join(", ")})`,
  ];
  return `SELECT ${columns.join(", ")} FROM ${source(files, copies)} ${streamOrder}`;
}

export function countQuery(files: FollowedFiles, copies: LocalCopies): string {
  return `SELECT count(*)::INTEGER FROM ${source(files, copies)}`;
}

function isQuarantine({ key }: FollowedFiles): boolean {
  return key === quarantineKey;
}

function knownColumns(files: FollowedFiles): string[] {
  const own = isQuarantine(files) ? [...baseColumns, ...quarantineColumns] : baseColumns;
  return [...own, ...partitionColumns].map(({ name }) => name);
}

/** SQL source with every known column: files of version 0.1.0 lack one, those of other writers any. */
function source(files: FollowedFiles, copies: LocalCopies): string {
  const locations = files.paths.map((path) => quoteText(copies.location(path)));
  const own = isQuarantine(files) ? [...baseColumns, ...quarantineColumns] : baseColumns;
  const nulls = [...own, ...partitionColumns].map(
    ({ name, type }) => `NULL::${sqlTypes[type]} AS ${quoteName(name)}`,
  );
  const where = files.ranges === null ? "" : ` WHERE ${inRanges(files.ranges)}`;
  return (
    `(SELECT * FROM read_parquet([${locations.join(", ")}], union_by_name = true, hive_partitioning = false) ` +
    `UNION ALL BY NAME SELECT ${nulls.join(", ")} WHERE false)${exceptLanded(files, copies)}${where}`
  );
}

function exceptLanded({ except }: FollowedFiles, copies: LocalCopies): string {
  if (except === null) return "";
  const landed = `read_parquet(${quoteText(copies.location(except))}, hive_partitioning = false)`;
  return ` files ANTI JOIN (SELECT ${place} FROM ${landed}) landed USING (${place})`;
}

function inRanges(ranges: readonly StreamRange[]): string {
  return ranges.length === 0 ? "false" : `(${ranges.map(inRange).join(" OR ")})`;
}

function inRange({ streamId, partition, from, to }: StreamRange): string {
  const after = from === startPosition ? "" : ` AND ${positionKey} > ${keyOf(quoteText(from))}`;
  const upTo = to === endPosition ? "" : ` AND ${positionKey} <= ${keyOf(quoteText(to))}`;
  return `(_stream = ${quoteText(streamId)} AND _partition = ${quoteText(String(partition))}${after}${upTo})`;
}

function keyOf(position: string): string {
  const parts = [1, 2].map((part) => `split_part(${position}, '-', ${part})`);
  return parts.map((part) => `lpad(length(${part})::VARCHAR, 3, '0') || ${part}`).join(" || ");
}
