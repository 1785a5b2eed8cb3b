import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { DuckDBDataChunk } from "@duckdb/node-api";
import { sdkMessageIdBytes } from "../../../devices/protocol/message-id.ts";
import { contentHashOfColumns } from "../../tail/content-hash.ts";
import type { FiledQuery, SeedPart, SeedQuery, SeedRows } from "../seed-source.ts";
import type { LocalCopies, ObjectStore } from "../stores/object-store.ts";
import { type Duckdb, openDuckdb, quoteText, translateDuckdbError } from "./duckdb.ts";
import { eventMs, microsOfEvent, streamTime } from "./row-times.ts";
import { columnsPerPieced, PiecedColumn, piecedColumn } from "./seed-chunk.ts";

const memoryLimitBytes = 256 * 1024 * 1024;
/** Files per query. Each open file costs memory for its footer, and disk space if it has to be copied. */
const filesPerQuery = 64;
const copiesPerQuery = 16;

export interface SeedFiles {
  /** Files of a topic's table, or files whose rows name their topics: of `_quarantine`, or landing files. */
  readonly rows:
    | { readonly of: "topic"; readonly topicId: string }
    | { readonly of: "quarantine" | "landing" };
  /** Paths in the store. */
  readonly paths: readonly string[];
}

/** Selects rows of parts, or rows of any partition with one of these ids. */
export interface SeedFilter extends Pick<SeedQuery, "parts" | "wholeTopics" | "pastPartitions" | "onFiles"> {
  readonly ids?: Pick<FiledQuery, "topicId" | "deviceIds" | "messageIds">;
}

/** Rows per look-up of ids, because an id that a device reuses may have any number of rows. */
const filedRowsMax = 65_536;

/** Number of result columns before the columns of rows that name their topics. */
const firstColumns = 4 * columnsPerPieced;
const topicColumn = firstColumns + 5;
/** Null if the message had no readable event time, see `contentHash`. */
const readEventTime = `CASE WHEN event_time_outside AND event_time = ingest_time THEN NULL ELSE ${eventMs}::DOUBLE END`;
const partitionNumber = "TRY_CAST(_partition AS BIGINT)";
const readColumns: Readonly<Record<string, string>> = {
  ...{ device_id: "VARCHAR", topic: "VARCHAR", message_id: "BLOB", payload_crc: "INTEGER" },
  ...{ event_time: "TIMESTAMPTZ", ingest_time: "TIMESTAMPTZ", event_time_outside: "BOOLEAN" },
  ...{ _stream: "VARCHAR", _partition: "VARCHAR", _position: "VARCHAR", _stream_time: "TIMESTAMPTZ" },
};
const topicReadColumns = { topic_id: "VARCHAR", reason: "VARCHAR" } as const;
/** Whether a landed row belongs in `_quarantine`. */
const isQuarantinedRow = { quarantine: "true", landing: "reason IS NOT NULL" } as const;
/** Adds columns that no file of a query has: files of version 0.1.0 lack one, those of other writers any. */
function noRows({ rows }: SeedFiles): string {
  const columns = { ...readColumns, ...(rows.of !== "topic" && topicReadColumns) };
  const nulls = Object.entries(columns).map(([name, type]) => `NULL::${type} AS ${name}`);
  return `SELECT ${nulls.join(", ")} WHERE false`;
}

function seedQuery(files: SeedFiles, copies: LocalCopies, filter: SeedFilter): string {
  const locations = files.paths.map((path) => quoteText(copies.location(path)));
  const { rows: source } = files;
  const columns = [
    piecedColumn("encode(device_id)"),
    piecedColumn("message_id"),
    piecedColumn("encode(_position)"),
    piecedColumn("encode(topic)"),
    "payload_crc",
    readEventTime,
    microsOfEvent,
    `epoch_ms(${streamTime})::DOUBLE`,
    filter.ids ? "0" : `coalesce(part.number, ${filter.parts.length})`,
    ...(source.of === "topic"
      ? []
      : [
          "topic_id",
          "coalesce(reason IN ('id-reused', 'exact-unsure'), false)",
          isQuarantinedRow[source.of],
        ]),
  ];
  const rows =
    `SELECT ${columns.join(", ")} FROM ` +
    `(SELECT * FROM read_parquet([${locations.join(", ")}], union_by_name = true) UNION ALL BY NAME ${noRows(files)})`;
  if (filter.ids) return `${rows} WHERE ${askedRows(files, filter.ids)} LIMIT ${filedRowsMax}`;
  const parts = filter.parts.map(partRow);
  const past = pastRows(files, filter);
  return (
    `${rows} ${past === null ? "" : "LEFT "}JOIN (VALUES ${parts.join(", ")}) part(stream, partition, since, number) ` +
    "ON _stream = part.stream AND _partition = part.partition " +
    `WHERE (${wantedRows(files, filter)}${past === null ? "" : ` OR ${past}`}) AND message_id IS NOT NULL` +
    (source.of === "quarantine" ? " ORDER BY topic_id" : "")
  );
}

function partRow({ streamId, partition, sinceMs }: SeedPart, number: number): string {
  const since = `make_timestamptz(${Math.floor(sinceMs)}::BIGINT * 1000)`;
  return `(${quoteText(streamId)}, ${quoteText(String(partition))}, ${since}, ${number})`;
}

function askedRows({ rows }: SeedFiles, ids: NonNullable<SeedFilter["ids"]>): string {
  const messageIds = ids.messageIds.map((id) => `from_hex('${Buffer.from(id).toString("hex")}')`);
  const ofTopic = rows.of === "topic" ? "" : ` AND topic_id = ${quoteText(ids.topicId)}`;
  return (
    `message_id IN (${messageIds.join(", ")}) ` +
    `AND device_id IN (${ids.deviceIds.map(quoteText).join(", ")})${ofTopic}`
  );
}

function wantedRows(files: SeedFiles, filter: SeedFilter): string {
  const recent = `${streamTime} >= part.since`;
  const whole = wholeTopicRows(files, filter);
  return whole === null ? recent : `part.number IS NOT NULL AND (${recent} OR ${whole})`;
}

/** Null if no rows of past partitions are wanted. */
function pastRows(files: SeedFiles, filter: SeedFilter): string | null {
  const whole = wholeTopicRows(files, filter);
  const runs = [...(filter.pastPartitions ?? [])].flatMap(([streamId, ranges]) =>
    ranges.map(
      ([first, last]) =>
        `_stream = ${quoteText(streamId)} AND ${partitionNumber} BETWEEN ${first} AND ${last}`,
    ),
  );
  if (whole === null || runs.length === 0) return null;
  return `part.number IS NULL AND ${whole} AND (${runs.join(" OR ")})`;
}

/** Null if none of the files' topics is wanted whole. */
function wholeTopicRows({ rows }: SeedFiles, { wholeTopics }: SeedFilter): string | null {
  const whole = [...(wholeTopics ?? [])].filter((topic) => rows.of !== "topic" || topic === rows.topicId);
  if (whole.length === 0) return null;
  const ofTopics = rows.of === "topic" ? "" : ` AND topic_id IN (${whole.map(quoteText).join(", ")})`;
  return `octet_length(message_id) = ${sdkMessageIdBytes}${ofTopics}`;
}

export type ReadSeedRows = typeof readSeedRows;

/**
 * Yields rows with an id from the given files, in chunks. If files cannot be read together, they are read one
 * by one, and rows may come twice.
 *
 * @param isGivenUp Whether to leave out a file that cannot be read; otherwise the read fails.
 */
export async function* readSeedRows(
  store: ObjectStore,
  groups: readonly SeedFiles[],
  filter: SeedFilter,
  isGivenUp: (path: string, error: unknown) => boolean = () => false,
): AsyncGenerator<SeedRows> {
  if (groups.length === 0) return;
  const spillFolder = join(store.stagingFolder, `spill-${randomUUID()}`);
  const duckdb = await openDuckdb({ memoryLimitBytes, spillFolder, threads: 1 });
  const total = groups.reduce((sum, { paths }) => sum + paths.length, 0);
  let read = 0;
  filter.onFiles?.(read, total);
  const filesAtOnce = store.copyMaxBytes === null ? filesPerQuery : copiesPerQuery;
  try {
    for (const group of groups)
      for (let start = 0; start < group.paths.length; start += filesAtOnce) {
        const paths = group.paths.slice(start, start + filesAtOnce);
        yield* readFiles({ store, duckdb, filter, isGivenUp }, { ...group, paths });
        read += paths.length;
        filter.onFiles?.(read, total);
      }
  } catch (error) {
    throw translateDuckdbError(error, "reading ids from Parquet files");
  } finally {
    await duckdb.close();
  }
}

interface Reading {
  readonly store: ObjectStore;
  readonly duckdb: Duckdb;
  readonly filter: SeedFilter;
  readonly isGivenUp: (path: string, error: unknown) => boolean;
}

async function* readFiles(reading: Reading, group: SeedFiles): AsyncGenerator<SeedRows> {
  try {
    const copies = await reading.store.localCopies(group.paths);
    try {
      yield* readGroup(reading.duckdb, seedQuery(group, copies, reading.filter), group);
    } finally {
      await copies.release();
    }
  } catch (cause) {
    const error = translateDuckdbError(cause, `reading ids from ${group.paths[0]}`);
    const [path, ...others] = group.paths;
    if (others.length > 0)
      for (const each of group.paths) yield* readFiles(reading, { ...group, paths: [each] });
    else if (path === undefined || !reading.isGivenUp(path, error)) throw error;
  }
}

async function* readGroup(duckdb: Duckdb, sql: string, { rows }: SeedFiles): AsyncGenerator<SeedRows> {
  const result = await duckdb.connection.stream(sql);
  for (;;) {
    const chunk = await result.fetchChunk();
    if (!chunk || chunk.rowCount === 0) return;
    if (rows.of === "topic") yield seedRows(chunk, rows.topicId, { start: 0, end: chunk.rowCount });
    else yield* splitByTopic(chunk);
  }
}

/**
 * Rows come ordered by topic, or as landing files have them: quarantined rows last, each part by topic. Yields
 * each run of one topic on its own.
 */
function* splitByTopic(chunk: DuckDBDataChunk): Generator<SeedRows> {
  const topics = chunk.getColumnValues(topicColumn);
  const quarantined = chunk.getColumnValues(topicColumn + 2);
  for (let start = 0; start < topics.length; ) {
    let end = start + 1;
    while (end < topics.length && topics[end] === topics[start] && quarantined[end] === quarantined[start])
      end++;
    yield seedRows(chunk, String(topics[start]), { start, end });
    start = end;
  }
}

function seedRows(
  chunk: DuckDBDataChunk,
  topicId: string,
  { start, end }: { start: number; end: number },
): SeedRows {
  const devices = new PiecedColumn(chunk, 0);
  const ids = new PiecedColumn(chunk, columnsPerPieced);
  const streamPositions = new PiecedColumn(chunk, 2 * columnsPerPieced);
  const topicNames = new PiecedColumn(chunk, 3 * columnsPerPieced);
  const payloadCrcs = chunk.getColumnVector(firstColumns);
  const eventTimes = chunk.getColumnVector(firstColumns + 1);
  const eventMicros = chunk.getColumnVector(firstColumns + 2);
  const times = chunk.getColumnVector(firstColumns + 3);
  const numbers = chunk.getColumnVector(firstColumns + 4);
  const reused =
    chunk.columnCount > topicColumn ? chunk.getColumnValues(topicColumn + 1).slice(start, end) : undefined;
  const length = end - start;
  const deviceIds = new Array<string>(length);
  const messageIds = new Array<Uint8Array>(length);
  const positions = new Array<string>(length);
  const parts = new Uint32Array(length);
  const contentHashes = new Uint32Array(length);
  const streamTimesMs = new Float64Array(length);
  for (let row = 0; row < length; row++) {
    deviceIds[row] = devices.bytes(start + row).toString("utf8");
    messageIds[row] = Uint8Array.from(ids.bytes(start + row));
    positions[row] = streamPositions.bytes(start + row).toString("latin1");
    contentHashes[row] = contentHashOfColumns({
      topicName: topicNames.bytes(start + row),
      payloadCrc: Number(payloadCrcs.getItem(start + row)),
      eventTimeMs: eventTimes.getItem(start + row) as number | null,
      eventTimeMicros: Number(eventMicros.getItem(start + row)),
    });
    parts[row] = Number(numbers.getItem(start + row));
    streamTimesMs[row] = Number(times.getItem(start + row));
  }
  const idReused = reused?.map((value) => value === true) ?? new Array<boolean>(length).fill(false);
  const isQuarantined =
    chunk.columnCount > topicColumn && chunk.getColumnVector(topicColumn + 2).getItem(start) === true;
  const idFacts = { deviceIds, messageIds, contentHashes, isQuarantined, idReused };
  return { length, parts, topicId, streamTimesMs, positions, ...idFacts };
}
