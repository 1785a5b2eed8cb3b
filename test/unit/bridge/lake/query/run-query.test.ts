import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { runQuery } from "../../../../../bridge/lake/query/run-query.ts";
import { readTableSnapshots } from "../../../../../bridge/lake/query/table-snapshots.ts";
import { openLocalStore } from "../../../../../bridge/lake/stores/local/local-store.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
} from "../../../../support/test-lake.ts";

const typed = makeTopic({
  topicId: "typed",
  name: "typed_topic",
  columns: [column("level", "long"), column("ok", "boolean")],
});
let lake: TestLake;

before(async () => {
  lake = await openTestLake([
    makeTopic(),
    typed,
    makeTopic({ topicId: "empty", name: "never_used", columns: [column("x", "double")] }),
  ]);
  await lake.commit([
    { row: makeRow(0, { payload: Buffer.from('{"a":1}'), messageId: Buffer.from([0, 1, 255]) }) },
    { row: makeRow(1, { eventTimeMs: startMs + 3_600_000 }) },
    { topic: typed, row: makeRow(2), values: [2n ** 60n, true] },
    { topic: typed, row: makeRow(3), values: [41, null] },
    { row: makeRow(4), facts: { reason: "schema", detail: "it's bad", topicId: "topic-1", topicVersion: 1 } },
  ]);
});
after(() => lake.close());

const query = (sql: string) => runQuery(sql, { store: lake.store });

test("rows come with column names, types, and JSON values", async () => {
  assert.deepEqual(
    await query(
      "SELECT device_id, message_id, payload, event_time, event_date, event_hour, payload_crc, event_time_outside FROM telemetry WHERE event_hour = 10",
    ),
    {
      columns: [
        "device_id",
        "message_id",
        "payload",
        "event_time",
        "event_date",
        "event_hour",
        "payload_crc",
        "event_time_outside",
      ],
      types: ["VARCHAR", "BLOB", "BLOB", "TIMESTAMP WITH TIME ZONE", "DATE", "INTEGER", "INTEGER", "BOOLEAN"],
      rows: [["device-0", "\\x0001ff", '{"a":1}', "2026-11-22T10:05:00.000Z", "2026-11-22", 10, 0, false]],
    },
  );
  assert.deepEqual((await query("SELECT level, ok FROM typed_topic ORDER BY 1")).rows, [
    [41, null],
    [String(2n ** 60n), true],
  ]);
  assert.deepEqual(
    (
      await query(
        "SELECT [1, 2] l, {a: 1.5, b: DATE '2026-01-02'} s, 0.1::DECIMAL(5,2) d, count(*) c FROM telemetry",
      )
    ).rows,
    [[[1, 2], { a: 1.5, b: "2026-01-02" }, 0.1, 2]],
  );
  assert.deepEqual((await query("SELECT reason, detail, topic_version FROM _quarantine")).rows, [
    ["schema", "it's bad", 1],
  ]);
});

test("times are shown to the microsecond, also before 1970", async () => {
  const times = ["1969-12-31 23:59:59.999999", "1970-01-01 00:00:00.000001", "9999-12-31 23:59:59.999999"];
  const columns = times.map((time) => `TIMESTAMPTZ '${time}+00'`);
  assert.deepEqual((await query(`SELECT ${columns.join(", ")}`)).rows, [
    ["1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00.000001Z", "9999-12-31T23:59:59.999999Z"],
  ]);
});

test("a topic without rows, and an unused quarantine, are empty tables with their columns", async () => {
  assert.deepEqual(await query("SELECT device_id, x, event_date, event_hour FROM never_used"), {
    columns: ["device_id", "x", "event_date", "event_hour"],
    types: ["VARCHAR", "DOUBLE", "DATE", "INTEGER"],
    rows: [],
  });
  const fresh = await openTestLake([]);
  const result = await runQuery("SELECT count(*), any_value(reason) FROM _quarantine", {
    store: fresh.store,
  });
  assert.deepEqual(result.rows, [[0, null]]);
  await fresh.close();
});

test("files of other hours are not opened", async () => {
  const [snapshot] = (await readTableSnapshots(lake.store)).filter(({ name }) => name === "telemetry");
  const other =
    snapshot?.files.find(({ partitionValues }) => partitionValues["event_hour"] === "11") ?? assert.fail();
  const bytes = (await lake.store.get(other.path)) ?? assert.fail();
  await lake.store.put(other.path, Buffer.from("damaged"));
  assert.deepEqual(
    (await query("SELECT count(*) FROM telemetry WHERE event_hour = 10 AND event_date = '2026-11-22'")).rows,
    [[1]],
  );
  await assert.rejects(query("SELECT count(payload) FROM telemetry"), { code: "QUERY_FAILED" });
  await lake.store.put(other.path, bytes);
});

test("the query may only read: everything else is QUERY_REFUSED, and files outside the lake are not readable", async () => {
  const target = join(lake.folder, "written.csv");
  for (const sql of [
    `COPY (SELECT 1) TO '${target}'`,
    `EXPLAIN ANALYZE COPY (SELECT 1) TO '${target}'`,
    "CREATE TABLE x (a INT)",
    "DROP VIEW telemetry",
    "SET threads = 1",
    "ATTACH 'x.db'",
    "INSTALL httpfs",
    "SELECT 1; SELECT 2",
    "",
  ])
    await assert.rejects(query(sql), { code: "QUERY_REFUSED" }, sql);
  assert.equal(existsSync(target), false);
  const secret = mkdtempSync(join(tmpdir(), "tidegate-secret-"));
  writeFileSync(join(secret, "a.csv"), "secret\n1\n");
  for (const sql of [
    `SELECT * FROM read_csv('${secret}/a.csv')`,
    `SELECT * FROM '${secret}/a.csv'`,
    `SELECT content FROM read_text('${lake.folder}/../${secret.split("/").at(-1)}/a.csv')`,
    `SELECT * FROM glob('${secret}/*')`,
  ])
    await assert.rejects(query(sql), { code: "QUERY_FAILED" }, sql);
  rmSync(secret, { recursive: true });
});

test("SHOW, DESCRIBE, SUMMARIZE and EXPLAIN work; faulty SQL says why", async () => {
  assert.deepEqual((await query("SHOW TABLES")).rows, [
    ["_quarantine"],
    ["never_used"],
    ["telemetry"],
    ["typed_topic"],
  ]);
  assert.equal((await query("DESCRIBE typed_topic")).rows.length, 17);
  assert.ok((await query("SUMMARIZE telemetry")).rows.length > 0);
  assert.ok((await query("EXPLAIN SELECT 1 FROM telemetry")).rows.length > 0);
  await assert.rejects(query("SELEC 1"), { code: "QUERY_FAILED", message: /syntax error/ });
  await assert.rejects(query("SELECT nothing FROM telemetry"), { code: "QUERY_FAILED", message: /nothing/ });
});

test("a result beyond the limit is refused, not cut", async () => {
  await assert.rejects(runQuery("FROM range(11)", { store: lake.store, rowsMax: 10 }), {
    code: "QUERY_REFUSED",
  });
  assert.equal((await runQuery("FROM range(10)", { store: lake.store, rowsMax: 10 })).rows.length, 10);
});

test("a folder without a lake is LAKE_MISSING", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-no-lake-"));
  const store = await openLocalStore(folder);
  await assert.rejects(runQuery("SELECT 1", { store }), { code: "LAKE_MISSING" });
  rmSync(folder, { recursive: true });
});

test("unusual column names are read as they are, and fields in no file stay in the payload", async () => {
  const names = [
    "a.b",
    "a'b",
    'a"b',
    "a`b",
    "rowid",
    "filename",
    "__proto__",
    "é".repeat(127),
    "\u{1f680}",
    "ß",
    "ss",
  ];
  // Version 0.1.0 accepted the last two.
  const columns = [...names, "a\u0000b", "\ud800"].map((name) => column(name, "long"));
  const odd = makeTopic({ topicId: "odd", name: "odd_names", columns });
  const other = await openTestLake([makeTopic(), odd]);
  try {
    const values = columns.map((_column, index) => index);
    await other.commit([{ topic: odd, row: makeRow(0), values }, { row: makeRow(1) }]);
    const { columns: found, rows } = await runQuery("SELECT * FROM odd_names", { store: other.store });
    assert.deepEqual(found.slice(13, -2), names);
    assert.deepEqual(rows[0]?.slice(13, -2), values.slice(0, names.length));
    assert.equal((await runQuery("SELECT * FROM telemetry", { store: other.store })).rows.length, 1);
  } finally {
    await other.close();
  }
});

test("the fault of an unreadable table meets only queries that read it", async () => {
  const other = await openTestLake([makeTopic(), typed]);
  const append = (version: number, action: object) =>
    writeFileSync(
      join(other.folder, "typed_topic", "_delta_log", `${String(version).padStart(20, "0")}.json`),
      JSON.stringify(action),
    );
  const counted = (table: string) => runQuery(`SELECT count(*) FROM ${table}`, { store: other.store });
  try {
    await other.commit([{ row: makeRow(0) }, { topic: typed, row: makeRow(1), values: [1, true] }]);
    const { path, partitionValues, size } =
      (await new DeltaTable(other.store, "typed_topic").files())[0] ?? assert.fail();
    const features = { readerFeatures: ["deletionVectors"], writerFeatures: ["deletionVectors"] };
    append(1, { protocol: { minReaderVersion: 3, minWriterVersion: 7, ...features } });
    assert.deepEqual((await counted("typed_topic")).rows, [[1]]);
    const deletionVector = { storageType: "i", pathOrInlineDv: "x", sizeInBytes: 1, cardinality: 1 };
    append(2, { add: { path, partitionValues, size, deletionVector } });
    const faults: readonly (readonly [action: object, fault: { code: string; message: RegExp }])[] = [
      [{}, { code: "TABLE_CONFLICT", message: /typed_topic .*deletion vectors.*PURGE/ }],
      [
        {
          protocol: {
            minReaderVersion: 3,
            minWriterVersion: 7,
            ...features,
            readerFeatures: ["v2Checkpoint"],
          },
        },
        { code: "TABLE_CONFLICT", message: /typed_topic can't be read: .*v2Checkpoint/ },
      ],
      [{ txn: 7 }, { code: "LAKE_DAMAGED", message: /typed_topic\/_delta_log\/0+5\.json/ }],
    ];
    for (const [index, [action, fault]] of faults.entries()) {
      append(3 + index, action);
      await assert.rejects(counted("typed_topic"), fault);
      assert.deepEqual((await counted("telemetry")).rows, [[1]]);
      assert.ok((await runQuery("DESCRIBE typed_topic", { store: other.store })).rows.length > 0);
    }
  } finally {
    await other.close();
  }
});

test("the fault of a table with a missing file meets only queries that read it", async () => {
  const other = await openTestLake([makeTopic(), typed]);
  const counted = (table: string) => runQuery(`SELECT count(*) FROM ${table}`, { store: other.store });
  try {
    await other.commit([{ row: makeRow(0) }, { topic: typed, row: makeRow(1), values: [1, true] }]);
    const [file = assert.fail()] = await new DeltaTable(other.store, "typed_topic").files();
    rmSync(join(other.folder, "typed_topic", file.path));
    await assert.rejects(counted("typed_topic"), {
      code: "TABLE_CONFLICT",
      message: /table typed_topic can't be read here: .*\.parquet/,
    });
    assert.deepEqual((await counted("telemetry")).rows, [[1]]);
    assert.ok((await runQuery("DESCRIBE typed_topic", { store: other.store })).rows.length > 0);
  } finally {
    await other.close();
  }
});
