import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { BatchWriter } from "../../../../../bridge/lake/batch-writer.ts";
import { quarantineKey } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import type { CommittedLanding } from "../../../../../bridge/lake/commit-log/landed-file.ts";
import type { LandedVersion } from "../../../../../bridge/lake/landing/row-files.ts";
import { createParquetBatchWriter } from "../../../../../bridge/lake/parquet/batch-writer.ts";
import { landedValue } from "../../../../../bridge/lake/parquet/landed-select.ts";
import type { ColumnValue } from "../../../../../bridge/topics/column-value.ts";
import type { ColumnType, TypedColumn } from "../../../../../bridge/topics/topic-catalog.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
} from "../../../../support/test-lake.ts";

const hourMs = 3_600_000;

async function withWriter(work: (writer: BatchWriter, lake: TestLake) => Promise<void>): Promise<void> {
  const lake = await openTestLake([makeTopic()]);
  const writer = createParquetBatchWriter({ store: lake.store });
  try {
    await work(writer, lake);
  } finally {
    await writer.discard();
    await lake.close();
  }
}

async function written(writer: BatchWriter): Promise<CommittedLanding> {
  const { landing, tables } = await writer.write();
  assert.deepEqual(tables, {});
  assert.ok(landing, "a file was written");
  return landing;
}

/** The file's rows in order, by a reader that is not DuckDB. */
async function readLanding(lake: TestLake, path: string): Promise<Record<string, unknown>[]> {
  return parquetReadObjects({ file: bytesOf(lake, path), compressors, utf8: false });
}

function bytesOf(lake: TestLake, path: string): ArrayBuffer {
  const bytes = readFileSync(join(lake.folder, path));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

test("rows of many topics, versions and hours are one file, ordered by table, hour and event time", () =>
  withWriter(async (writer, lake) => {
    const topics = [1, 2, 3].map((number) =>
      makeTopic({ topicId: `id-${number}`, name: `table_${number}`, version: number }),
    );
    for (let number = 0; number < 3000; number++) {
      const row = makeRow(number, {
        eventTimeMs: startMs + ((number * 7919) % 3000) * 3000,
        eventTimeMicros: number % 1000,
        ingestTimeMs: startMs + number,
        payload: randomBytes(20),
      });
      await writer.add(topics[number % 3] ?? makeTopic(), row, []);
    }
    const facts = { reason: "payload-not-json", detail: "no", topicId: "id-1", topicVersion: 1 };
    await writer.quarantine(makeRow(1, { messageId: null }), facts);
    assert.equal(writer.rows, 3001);
    const { bytes: size } = writer;
    const { file, tables } = await written(writer);
    assert.match(file.path, /^_landing\/[0-9a-f-]{36}\.parquet$/);
    assert.equal(file.size, size);
    assert.equal(file.bytes, readFileSync(join(lake.folder, file.path)).length);
    assert.deepEqual([writer.rows, writer.bytes], [0, 0], "the batch is empty");
    const rows = await readLanding(lake, file.path);
    assert.equal(rows.length, 3001);
    const places = rows.map((row) => [
      row["reason"] === null ? 0 : 1,
      String(row["topic_id"]),
      Number(row["_hour"]),
      Number(row["event_time"]),
    ]);
    assert.deepEqual(places, places.toSorted(comparePlaces));
    assert.deepEqual(Object.keys(tables).sort(), [quarantineKey, "id-1", "id-2", "id-3"]);
    assert.deepEqual(tables["id-2"], { name: "table_2", version: 2, rows: tables["id-2"]?.rows });
    assert.deepEqual(tables[quarantineKey], { name: quarantineKey, version: 0, rows: { even: 1 } });
    for (const key of ["id-1", "id-2", "id-3"]) {
      const counts: Record<string, number> = {};
      for (const row of rows)
        if (row["topic_id"] === key && row["reason"] === null)
          counts[String(row["_lane"])] = (counts[String(row["_lane"])] ?? 0) + 1;
      assert.deepEqual(tables[key]?.rows, counts);
    }
  }));

function comparePlaces(left: (number | string)[], right: (number | string)[]): number {
  for (const [at, value] of left.entries()) {
    const other = right[at] ?? value;
    if (value !== other) return value < other ? -1 : 1;
  }
  return 0;
}

test("a row has its base columns, its lane and hour, and a quarantined row its reason", () =>
  withWriter(async (writer, lake) => {
    const hour = Math.floor(startMs / hourMs);
    const late = makeRow(1, { eventTimeMs: startMs - 3 * hourMs, payloadCrc: -5 });
    const outside = makeRow(2, { eventTimeMs: 0, eventTimeMicros: 0, eventTimeOutside: true });
    const raw = makeRow(3, { messageId: null });
    await writer.add(makeTopic({ topicId: "a" }), late, []);
    await writer.add(makeTopic({ topicId: "b" }), outside, []);
    await writer.add(makeTopic({ topicId: "c", version: 7 }), raw, [true, null]);
    await writer.quarantine(raw, { reason: "id-reused", detail: "why", topicId: "d", topicVersion: 4 });
    const { file } = await written(writer);
    const read = await readLanding(lake, file.path);
    assert.deepEqual(
      read.map((row) => [
        row["topic_id"],
        row["topic_version"],
        row["_lane"],
        row["_hour"],
        row["reason"],
        row["detail"],
        row["_values"],
      ]),
      [
        ["a", 1, "late", hour - 3, null, null, null],
        ["b", 1, hour % 2 === 0 ? "even" : "odd", hour, null, null, null],
        ["c", 7, hour % 2 === 0 ? "even" : "odd", hour, null, null, "[true,null]"],
        ["d", 4, hour % 2 === 0 ? "even" : "odd", hour, "id-reused", "why", null],
      ],
    );
    const [first] = read;
    assert.deepEqual(
      [first?.["device_id"], first?.["topic"], first?.["payload_crc"], first?.["event_time_outside"]],
      [late.deviceId, late.topicName, -5, false],
    );
    assert.deepEqual(first?.["message_id"], new Uint8Array(late.messageId ?? []));
    assert.deepEqual(first?.["payload"], new Uint8Array(late.payload));
    assert.deepEqual(first?.["event_time"], new Date(late.eventTimeMs));
    assert.deepEqual(first?.["ingest_time"], new Date(late.ingestTimeMs));
    assert.deepEqual(
      [first?.["_stream"], first?.["_partition"], first?.["_position"], first?.["_index"]],
      [late.streamId, String(late.partition), late.position, late.index],
    );
    assert.deepEqual(first?.["_stream_time"], new Date(late.streamTimeMs));
    assert.equal(read[2]?.["message_id"], null);
    const metadata = parquetMetadata(bytesOf(lake, file.path));
    assert.deepEqual(
      metadata.key_value_metadata?.filter(({ key }) => key === "tidegate.format"),
      [{ key: "tidegate.format", value: "1" }],
    );
    const times = [late, outside, raw].map(({ streamTimeMs }) => streamTimeMs);
    assert.deepEqual([file.minStreamMs, file.maxStreamMs], [Math.min(...times), Math.max(...times)]);
  }));

const exact: readonly (readonly [ColumnType, ColumnValue])[] = [
  ["boolean", true],
  ["boolean", false],
  ["long", 0],
  ["long", -1],
  ["long", 9_223_372_036_854_775_807n],
  ["long", -9_223_372_036_854_775_808n],
  ["long", 9_007_199_254_740_993n],
  ["double", 0.1],
  ["double", -0],
  ["double", 5e-324],
  ["double", 1.7976931348623157e308],
  ["double", 1e21],
  ["double", 123_456_789_012_345_680_000],
  ["string", ""],
  ["string", "null"],
  ["string", "a\u0000b"],
  ["string", `"quoted", [1], \\ / and \n`],
  ["string", "\u{1f600}"],
  ["timestamp", 1_700_000_000_123_456],
  ["timestamp", -1],
];

/** Values of a table's columns, read by SQL from the landing file. */
async function readValues(
  file: string,
  columns: readonly TypedColumn[],
  versions: readonly LandedVersion[],
): Promise<unknown[][]> {
  const database = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await database.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    const values = columns.map((each, index) => {
      const value = landedValue(each, versions);
      return `${each.type === "timestamp" ? `epoch_us(${value})` : value} AS v${index}`;
    });
    const sql = `SELECT ${values.join(", ")} FROM read_parquet('${file}') r ORDER BY r._index`;
    return (await (await connection.run(sql)).getRowsJS()) as unknown[][];
  } finally {
    connection.closeSync();
    database.closeSync();
  }
}

test("typed values come back exactly, null included", () =>
  withWriter(async (writer, lake) => {
    const columns = exact.map(([type], index) => column(`c${index}`, type));
    const topic = makeTopic({ columns });
    await writer.add(
      topic,
      makeRow(0),
      exact.map(([, value]) => value),
    );
    await writer.add(
      topic,
      makeRow(1),
      exact.map(() => null),
    );
    await writer.add(
      topic,
      makeRow(2),
      exact.map(([, value], index) => (index % 2 === 0 ? value : null)),
    );
    const { file } = await written(writer);
    const read = await readValues(join(lake.folder, file.path), columns, [
      { topicId: "topic-1", version: 1, columns },
    ]);
    const expected = exact.map(([type, value]) =>
      type === "long" || type === "timestamp" ? BigInt(value as bigint) : value,
    );
    assert.deepEqual(read[0], expected);
    for (const [index, value] of expected.entries())
      assert.ok(Object.is(read[0]?.[index], value), `${exact[index]?.[0]} ${String(value)}`);
    assert.deepEqual(
      read[1],
      exact.map(() => null),
    );
    assert.deepEqual(
      read[2],
      expected.map((value, index) => (index % 2 === 0 ? value : null)),
    );
  }));

test("a lone surrogate becomes U+FFFD, as in the files of tables", () =>
  withWriter(async (writer, lake) => {
    const columns = [column("text", "string")];
    await writer.add(makeTopic({ columns }), makeRow(0), ["a\ud83d"]);
    const { file } = await written(writer);
    const read = await readValues(join(lake.folder, file.path), columns, [
      { topicId: "topic-1", version: 1, columns },
    ]);
    assert.deepEqual(read, [["a\ufffd"]]);
  }));

test("each row is read by the columns of its version; a value of another type is cast, or null", () =>
  withWriter(async (writer, lake) => {
    const versions = [
      { topicId: "topic-1", version: 1, columns: [column("a", "long"), column("b", "string")] },
      { topicId: "topic-1", version: 2, columns: [column("B", "string"), column("c", "double")] },
      { topicId: "topic-1", version: 3, columns: [column("a", "string")] },
    ];
    const rows: readonly [number, ColumnValue[]][] = [
      [1, [1n, "one"]],
      [2, ["two", 2.5]],
      [3, ["33"]],
      [3, ["thirty"]],
    ];
    for (const [index, [version, values]] of rows.entries())
      await writer.add(
        makeTopic({ version, columns: versions[version - 1]?.columns ?? [] }),
        makeRow(index),
        values,
      );
    const { file, tables } = await written(writer);
    assert.equal(tables["topic-1"]?.version, 3);
    const columns = [
      column("a", "long"),
      column("b", "string"),
      column("c", "double"),
      column("d", "boolean"),
    ];
    assert.deepEqual(await readValues(join(lake.folder, file.path), columns, versions), [
      [1n, "one", null, null],
      [null, "two", 2.5, null],
      [33n, null, null, null],
      [null, null, null, null],
    ]);
  }));

test("an empty batch is no file; a discarded one leaves nothing", () =>
  withWriter(async (writer, lake) => {
    assert.deepEqual(await writer.write(), { tables: {} });
    await writer.add(makeTopic(), makeRow(0), []);
    await writer.discard();
    assert.deepEqual(await writer.write(), { tables: {} });
    assert.deepEqual(readdirSync(lake.store.stagingFolder), []);
    assert.equal(existsSync(join(lake.folder, "_landing")), false);
  }));

test("a store that refuses the file leaves nothing behind, and the batch can be written again", () =>
  withWriter(async (_, lake) => {
    let isDown = true;
    const writer = createParquetBatchWriter({
      store: {
        stagingFolder: lake.store.stagingFolder,
        importFile: async (local, path) => {
          if (isDown) throw new Error("down");
          return lake.store.importFile(local, path);
        },
      },
    });
    await writer.add(makeTopic(), makeRow(0), []);
    await assert.rejects(writer.write(), { code: "PARQUET_FAILED", retryable: true });
    assert.deepEqual(
      readdirSync(lake.store.stagingFolder).filter((name) => name.endsWith(".parquet")),
      [],
    );
    isDown = false;
    await writer.discard();
    await writer.add(makeTopic(), makeRow(0), []);
    assert.equal((await readLanding(lake, (await written(writer)).file.path)).length, 1);
  }));
