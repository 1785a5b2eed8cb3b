import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type ParquetParsers, parquetMetadata, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { BatchWriter } from "../../../../../bridge/lake/batch-writer.ts";
import {
  type AddedFile,
  type CommitEntry,
  quarantineKey,
} from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { createParquetBatchWriter } from "../../../../../bridge/lake/parquet/batch-writer.ts";
import type { Row } from "../../../../../bridge/tail/row.ts";
import {
  addRows,
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
  type TestRow,
} from "../../../../support/test-lake.ts";

const hourMs = 3_600_000;

type Tables = CommitEntry["tables"];

/** The file's rows by a reader that is not DuckDB. */
async function readFile(
  lake: TestLake,
  table: string,
  file: AddedFile,
  parsers: Partial<ParquetParsers> = {},
): Promise<Record<string, unknown>[]> {
  const bytes = readFileSync(join(lake.folder, table, file.path));
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return parquetReadObjects({ file: buffer, compressors, utf8: false, parsers });
}

async function writeRows(lake: TestLake, rows: readonly TestRow[]): Promise<Tables> {
  await addRows(lake.batch, rows);
  return (await lake.batch.write()).tables;
}

function onlyFile(tables: Tables, key = "topic-1"): AddedFile {
  const adds = tables[key]?.adds ?? [];
  assert.equal(adds.length, 1);
  return adds[0] as AddedFile;
}

function expectedRow(row: Row): Record<string, unknown> {
  return {
    device_id: row.deviceId,
    topic: row.topicName,
    message_id: row.messageId === null ? null : new Uint8Array(row.messageId),
    event_time: new Date(row.eventTimeMs),
    ingest_time: new Date(row.ingestTimeMs),
    payload: new Uint8Array(row.payload),
    payload_crc: row.payloadCrc,
    event_time_outside: row.eventTimeOutside,
    _stream: row.streamId,
    _partition: String(row.partition),
    _position: row.position,
    _index: row.index,
    _stream_time: new Date(row.streamTimeMs),
  };
}

async function withLake(work: (lake: TestLake) => Promise<void>, topics = [makeTopic()]): Promise<void> {
  const lake = await openTestLake(topics);
  try {
    await work(lake);
  } finally {
    await lake.close();
  }
}

test("5,000 rows come back from Parquet as they went in, sorted by event time", () =>
  withLake(async (lake) => {
    const rows = Array.from({ length: 5000 }, (_, number) => makeRow((number * 7919) % 5000));
    const file = onlyFile(
      await writeRows(
        lake,
        rows.map((row) => ({ row })),
      ),
    );
    assert.match(file.path, /^event_date=2026-11-22\/event_hour=10\/[0-9a-f-]{36}\.parquet$/);
    const read = await readFile(lake, "telemetry", file);
    const sorted = [...rows].sort((left, right) => left.eventTimeMs - right.eventTimeMs);
    assert.deepEqual(read, sorted.map(expectedRow));
    assert.equal(file.rows, 5000);
    assert.equal(file.bytes, readFileSync(join(lake.folder, "telemetry", file.path)).length);
    assert.deepEqual([file.minIngestMs, file.maxIngestMs], [startMs + 500, startMs + 4999 * 10 + 500]);
  }));

test("times are UTC microseconds, no type is unsigned, and files do not hold the partition columns", () =>
  withLake(async (lake) => {
    const file = onlyFile(await writeRows(lake, [{ row: makeRow(1) }]));
    const bytes = readFileSync(join(lake.folder, "telemetry", file.path));
    const { schema } = parquetMetadata(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
    );
    const types = schema.slice(1).map(({ name, type, converted_type }) => [name, type, converted_type]);
    assert.deepEqual(types, [
      ["device_id", "BYTE_ARRAY", "UTF8"],
      ["topic", "BYTE_ARRAY", "UTF8"],
      ["message_id", "BYTE_ARRAY", undefined],
      ["event_time", "INT64", "TIMESTAMP_MICROS"],
      ["ingest_time", "INT64", "TIMESTAMP_MICROS"],
      ["payload", "BYTE_ARRAY", undefined],
      ["payload_crc", "INT32", "INT_32"],
      ["event_time_outside", "BOOLEAN", undefined],
      ["_stream", "BYTE_ARRAY", "UTF8"],
      ["_partition", "BYTE_ARRAY", "UTF8"],
      ["_position", "BYTE_ARRAY", "UTF8"],
      ["_index", "INT32", "INT_32"],
      ["_stream_time", "INT64", "TIMESTAMP_MICROS"],
    ]);
    const eventTime = schema.find(({ name }) => name === "event_time")?.logical_type;
    assert.deepEqual(eventTime, { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" });
  }));

test("unusual values survive: no id, empty payload, bytes that are not text, NUL and long texts, times before 1970 and of 2100", () =>
  withLake(async (lake) => {
    const odd = [
      makeRow(1, { messageId: null }),
      makeRow(2, { payload: Buffer.alloc(0), messageId: Buffer.alloc(0) }),
      makeRow(3, { payload: Buffer.from([0, 255, 128, 10]), messageId: Buffer.alloc(64, 255) }),
      makeRow(4, { deviceId: "a\u0000b", topicName: "fleet/ünï-🚀/x" }),
      makeRow(5, { deviceId: "d".repeat(5000), position: "9".repeat(60) }),
      makeRow(6, { eventTimeMs: -1, eventTimeOutside: true }),
      makeRow(7, { eventTimeMs: Date.UTC(2100, 0), eventTimeOutside: true }),
      makeRow(8, { payloadCrc: -2_147_483_648, index: 2_147_483_647 }),
      makeRow(9, { payload: Buffer.alloc(300_000, 7) }),
    ];
    const file = onlyFile(
      await writeRows(
        lake,
        odd.map((row) => ({ row })),
      ),
    );
    const read = await readFile(lake, "telemetry", file);
    const sorted = [...odd].sort((left, right) => left.eventTimeMs - right.eventTimeMs);
    assert.deepEqual(read, sorted.map(expectedRow));
  }));

test("times keep their microseconds, from the year 1 to 9999", () => {
  const topic = makeTopic({ columns: [column("at", "timestamp")] });
  const [first, last] = [-62_135_596_800_000_000n, 253_402_300_799_999_999n];
  const times = [first, first + 1n, -1n, 0n, 1n, BigInt(startMs) * 1000n + 1n, last - 1n, last];
  return withLake(
    async (lake) => {
      const rows = times.map((us, number): TestRow => {
        const ofMs = ((us % 1000n) + 1000n) % 1000n;
        const time = { eventTimeMs: Number((us - ofMs) / 1000n), eventTimeMicros: Number(ofMs) };
        return { topic, row: makeRow(number, { ...time, eventTimeOutside: true }), values: [us] };
      });
      const file = onlyFile(await writeRows(lake, rows));
      const microseconds = { timestampFromMicroseconds: (us: bigint) => us };
      const read = await readFile(lake, "telemetry", file, microseconds);
      assert.deepEqual(
        read.map((row) => [row["event_time"], row["at"]]),
        times.map((us) => [us, us]),
      );
    },
    [topic],
  );
});

test("each event hour gets its own file; rows outside of the limits go to the hour of their ingest", () =>
  withLake(async (lake) => {
    const rows = [
      makeRow(1),
      makeRow(2, { eventTimeMs: startMs - 24 * hourMs }),
      makeRow(3, { eventTimeMs: startMs + hourMs - 5 * 60_000 }),
      makeRow(4, { eventTimeMs: 0, eventTimeOutside: true }),
    ];
    const tables = await writeRows(
      lake,
      rows.map((row) => ({ row })),
    );
    const facts = tables["topic-1"]?.adds.map(({ eventDate, eventHour, rows: count }) => [
      eventDate,
      eventHour,
      count,
    ]);
    assert.deepEqual(facts, [
      ["2026-11-21", 10, 1],
      ["2026-11-22", 10, 2],
      ["2026-11-22", 11, 1],
    ]);
  }));

const first = makeTopic({ version: 1, columns: [column("level", "long")] });
const second = makeTopic({
  version: 2,
  columns: [
    column("level", "long"),
    column("note", "string"),
    column("seen", "timestamp"),
    column("ratio", "double"),
    column("on", "boolean"),
  ],
});

test("rows of several versions of a topic share a file with the columns of the highest one", () =>
  withLake(
    async (lake) => {
      const tables = await writeRows(lake, [
        { topic: first, row: makeRow(1), values: [7] },
        {
          topic: second,
          row: makeRow(2),
          values: [2n ** 62n, 'a "b"\u0000', startMs * 1000, -0.5, true],
        },
        { topic: second, row: makeRow(3), values: [null, null, null, null, null] },
        { topic: first, row: makeRow(4), values: [-9] },
      ]);
      assert.equal(tables["topic-1"]?.version, 2);
      const read = await readFile(lake, "telemetry", onlyFile(tables));
      const typed = read.map(({ level, note, seen, ratio, on }) => [level, note, seen, ratio, on]);
      assert.deepEqual(typed, [
        [7n, null, null, null, null],
        [2n ** 62n, 'a "b"\u0000', new Date(startMs), -0.5, true],
        [null, null, null, null, null],
        [-9n, null, null, null, null],
      ]);
    },
    [first, second],
  ));

test("quarantined rows carry their reason, detail, topic and version", () =>
  withLake(async (lake) => {
    const facts = { reason: "schema", detail: "level is no number", topicId: "topic-9", topicVersion: 4 };
    const tables = await writeRows(lake, [{ row: makeRow(1), facts }, { row: makeRow(2) }]);
    const [row] = await readFile(lake, quarantineKey, onlyFile(tables, quarantineKey));
    assert.deepEqual(row, {
      ...expectedRow(makeRow(1)),
      reason: "schema",
      detail: "level is no number",
      topic_id: "topic-9",
      topic_version: 4,
    });
    assert.equal(tables[quarantineKey]?.name, quarantineKey);
    assert.equal(onlyFile(tables).rows, 1);
  }));

test("a discarded batch leaves nothing behind, and the next one has only its own rows", () =>
  withLake(async (lake) => {
    await addRows(
      lake.batch,
      Array.from({ length: 3000 }, (_, number) => ({ row: makeRow(number) })),
    );
    assert.equal(lake.batch.rows, 3000);
    assert.ok(lake.batch.bytes > 3000 * 100);
    await lake.batch.discard();
    assert.deepEqual([lake.batch.rows, lake.batch.bytes], [0, 0]);
    const file = onlyFile(await writeRows(lake, [{ row: makeRow(1) }]));
    assert.equal(file.rows, 1);
    assert.deepEqual([lake.batch.rows, lake.batch.bytes], [0, 0]);
    assert.deepEqual(readdirSync(lake.store.stagingFolder), []);
    assert.deepEqual(await lake.batch.write(), { tables: {} });
  }));

test("a batch whose files could not be stored is kept, and written once storing works again", () =>
  withLake(async (lake) => {
    let failures = 1;
    const store = Object.create(lake.store, {
      importFile: {
        value: async (local: string, path: string) => {
          if (failures-- > 0) throw Object.assign(new Error("no room"), { code: "X" });
          return lake.store.importFile(local, path);
        },
      },
      stagingFolder: { value: lake.store.stagingFolder },
    });
    const batch = createParquetBatchWriter({ store, directBytes: 0 });
    await addRows(batch, [{ row: makeRow(1) }]);
    await assert.rejects(batch.write(), { code: "PARQUET_FAILED", retryable: true });
    await addRows(batch, [{ row: makeRow(2) }]);
    assert.equal(onlyFile((await batch.write()).tables).rows, 2);
    assert.deepEqual(readdirSync(lake.store.stagingFolder), []);
  }));

test("if one of several files cannot be stored, none is named, and no temporary file is left", () =>
  withLake(async (lake) => {
    let imports = 0;
    const store = Object.create(lake.store, {
      importFile: {
        value: async (local: string, path: string) => {
          if (++imports === 2) throw Object.assign(new Error("no room"), { code: "X" });
          return lake.store.importFile(local, path);
        },
      },
      stagingFolder: { value: lake.store.stagingFolder },
    });
    const batch = createParquetBatchWriter({ store, directBytes: 0 });
    const hours = Array.from({ length: 8 }, (_, hour) => ({
      row: makeRow(hour, { eventTimeMs: startMs + hour * 3_600_000 }),
    }));
    await addRows(batch, hours);
    await assert.rejects(batch.write(), { code: "PARQUET_FAILED", retryable: true });
    assert.deepEqual(
      readdirSync(store.stagingFolder).filter((name) => name.endsWith(".parquet")),
      [],
    );
    assert.equal(rowsOf((await batch.write()).tables), 8);
  }));

/** Adds rows with random payloads up to `bytes`, and returns their number. */
async function addRandom(batch: BatchWriter, bytes: number, payloadBytes: number): Promise<number> {
  const noise = randomBytes(2 * 1024 * 1024);
  for (let number = 0; ; number++) {
    if (batch.bytes >= bytes) return number;
    const start = (number * 7919) % (noise.length - payloadBytes);
    const payload = noise.subarray(start, start + payloadBytes);
    const added = batch.add(makeTopic(), makeRow(number, { payload }), []);
    if (added) await added;
  }
}

function rowsOf(tables: Tables): number {
  return (tables["topic-1"]?.adds ?? []).reduce((sum, { rows }) => sum + rows, 0);
}

test("a full batch of messages near the largest size fits the engine's memory, in several files", () =>
  withLake(async (lake) => {
    const count = await addRandom(lake.batch, 128 * 1024 * 1024, 100_000);
    const { tables } = await lake.batch.write();
    assert.equal(rowsOf(tables), count);
    assert.ok((tables["topic-1"]?.adds.length ?? 0) > 4);
  }));

test("rows are probed beside the batch: the reason if they cannot be written, and no traces", () =>
  withLake(async (lake) => {
    const topic = makeTopic();
    await addRows(lake.batch, [{ row: makeRow(1) }]);
    await lake.batch.probe([{ topic, row: makeRow(2), values: [] }]);
    const bad = makeRow(3, { eventTimeMs: Number.NaN });
    await assert.rejects(lake.batch.probe([{ topic, row: bad, values: [] }]), /whole milliseconds/);
    assert.equal(onlyFile((await lake.batch.write()).tables).rows, 1);
    assert.deepEqual(readdirSync(lake.store.stagingFolder), []);
  }));
