import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { appendUpkeep } from "../../../../../bridge/lake/commit-log/append-upkeep.ts";
import { noCommits } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { runQuery } from "../../../../../bridge/lake/query/run-query.ts";
import { writeTopicVersion } from "../../../../../bridge/lake/topic-versions.ts";
import type { Row } from "../../../../../bridge/tail/row.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";
import { settleLanded } from "../../../../support/settle-landing.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
} from "../../../../support/test-lake.ts";
import { withStore } from "../../../../support/with-store.ts";

const hourMs = 3_600_000;
const typed = makeTopic({
  topicId: "typed",
  name: "typed_topic",
  columns: [
    column("level", "long"),
    column("ok", "boolean"),
    column("note", "string"),
    column("share", "double"),
    column("at", "timestamp"),
  ],
});
const quarantined = {
  reason: "schema-violated",
  detail: "it's bad",
  topicId: "topic-1",
  topicVersion: 1,
} as const;
let lake: TestLake;

beforeEach(async () => {
  lake = await openTestLake([makeTopic(), typed]);
});
afterEach(() => lake.close());

const rowsOf = async (sql: string) => (await runQuery(sql, { store: lake.store })).rows;

/** A row of an hour before or after the present one; it is taken when it happens, or in the present hour. */
function inHour(number: number, hour: number, fields: Partial<Row> = {}): Row {
  return makeRow(number, {
    eventTimeMs: startMs + hour * hourMs + number,
    ingestTimeMs: startMs + number,
    ...fields,
  });
}

test("rows that only landed are in the views, with the columns, types and values of table files", async () => {
  const odd = makeRow(3, { payload: Buffer.from([0, 255]), messageId: Buffer.from([7]), eventTimeMicros: 5 });
  const values = [2n ** 62n, false, "a\u0000'b", -0, 1_700_000_000_123_456n];
  const bad = makeRow(9, { eventTimeOutside: true, ingestTimeMs: startMs + hourMs });
  const rows = [
    { row: makeRow(1) },
    { topic: typed, row: odd, values },
    { topic: typed, row: makeRow(4), values: [null, null, null, null, null] },
    { row: bad, facts: quarantined },
  ];
  await lake.land(rows);
  const landed = await Promise.all([
    runQuery("SELECT * FROM telemetry", { store: lake.store }),
    runQuery("SELECT * FROM typed_topic ORDER BY _index", { store: lake.store }),
    runQuery("SELECT * FROM _quarantine", { store: lake.store }),
  ]);
  const filed = await openTestLake([makeTopic(), typed]);
  try {
    await filed.commit(rows);
    const results = await Promise.all([
      runQuery("SELECT * FROM telemetry", { store: filed.store }),
      runQuery("SELECT * FROM typed_topic ORDER BY _index", { store: filed.store }),
      runQuery("SELECT * FROM _quarantine", { store: filed.store }),
    ]);
    assert.deepEqual(landed, results);
  } finally {
    await filed.close();
  }
  assert.deepEqual(
    await rowsOf(
      'SELECT level, note, share, epoch_us("at"), event_date, event_hour FROM typed_topic WHERE _index = 3',
    ),
    [[String(2n ** 62n), "a\u0000'b", -0, 1_700_000_000_123_456, "2026-11-22", 10]],
  );
  assert.deepEqual(await rowsOf("SELECT reason, topic_id, event_hour FROM _quarantine"), [
    ["schema-violated", "topic-1", 11],
  ]);
});

test("each row is counted once while its lane is settled and others wait, with files of the same commit", async () => {
  const rows = [
    { row: inHour(1, 0) },
    { row: inHour(2, 1, { ingestTimeMs: startMs + hourMs }) },
    { row: inHour(3, -2) },
    { row: inHour(4, -1), facts: quarantined },
  ];
  await lake.land(rows, { direct: [{ row: inHour(5, -5) }] });
  await lake.land([{ row: inHour(6, 0) }, { row: inHour(7, -3) }]);
  const seen = async () => [
    await rowsOf("SELECT _index, event_hour FROM telemetry ORDER BY 1"),
    await rowsOf("SELECT _index, event_hour FROM _quarantine"),
  ];
  const all = [
    [
      [1, 10],
      [2, 11],
      [3, 8],
      [5, 5],
      [6, 10],
      [7, 7],
    ],
    [[4, 9]],
  ];
  assert.deepEqual(await seen(), all);
  for (const [name, lane, upTo] of [
    ["telemetry", "even", 1],
    ["telemetry", "late", 2],
    ["_quarantine", "late", 1],
    ["telemetry", "odd", 2],
    ["telemetry", "even", 2],
  ] as const) {
    await settleLanded(lake, name, { lane, upTo });
    assert.deepEqual(await seen(), all, `${name}, ${lane} up to ${upTo}`);
  }
  assert.deepEqual(
    await rowsOf("SELECT count(*) FROM telemetry WHERE event_hour = 10 AND event_date = '2026-11-22'"),
    [[2]],
  );
});

test("rows of several versions and of a topic that was created again are in one view", async () => {
  const second = { ...typed, version: 2, columns: [column("level", "double"), column("extra", "string")] };
  const again = makeTopic({ ...typed, topicId: "again", columns: [column("LEVEL", "string")] });
  await writeTopicVersion(lake.store, { ...second });
  await writeTopicVersion(lake.store, { ...again });
  await lake.commit([{ topic: typed, row: makeRow(1), values: [1, true, "one", null, null] }]);
  await lake.land([
    { topic: typed, row: makeRow(2), values: [2, false, "two", null, null] },
    { topic: second, row: makeRow(3), values: [3, "three"] },
    { topic: second, row: makeRow(4), values: [4.5, "four"] },
    { topic: again, row: makeRow(5), values: ["5"] },
    { topic: again, row: makeRow(6), values: ["six"] },
  ]);
  assert.deepEqual(await rowsOf("SELECT _index, level, note, extra FROM typed_topic ORDER BY 1"), [
    [1, 1, "one", null],
    [2, 2, "two", null],
    [3, 3, null, "three"],
    [4, 4, null, "four"],
    [5, 5, null, null],
    [6, null, null, null],
  ]);
});

test("table files that a commit named are in the view before their table shows them", async () => {
  await lake.commit([{ row: makeRow(1) }]);
  await lake.commit([{ row: makeRow(2) }], { publish: false });
  assert.deepEqual(await rowsOf("SELECT _index FROM telemetry ORDER BY 1"), [[1], [2]]);
  await lake.publisher.publishPending();
  assert.deepEqual(await rowsOf("SELECT _index FROM telemetry ORDER BY 1"), [[1], [2]]);
});

test("what the log says that a table shows is not shown again from landing files", async () => {
  await lake.land([{ row: inHour(1, 0) }]);
  await lake.land([{ row: inHour(2, 0) }]);
  await appendUpkeep(lake.commitLog, { settled: { "topic-1": { ...noCommits, even: 1 } } }, 1);
  assert.deepEqual(await rowsOf("SELECT _index FROM telemetry"), [[2]]);
});

test("a missing landing file is the fault of the tables that need it", async () => {
  const first = await lake.land([{ topic: typed, row: inHour(1, 0), values: [1, true, null, null, null] }]);
  await lake.land([{ row: inHour(2, 0) }]);
  const path = (await lake.commitLog.entry(first))?.landing?.file.path ?? assert.fail();
  rmSync(join(lake.folder, path));
  await assert.rejects(rowsOf("SELECT * FROM typed_topic"), {
    code: "TABLE_CONFLICT",
    message: /_landing\//,
  });
  assert.deepEqual(await rowsOf("SELECT _index FROM telemetry"), [[2]]);
});

test("a store that is not on this disk copies a landing file once, and only for queries that read it", async () => {
  const store = new MemoryObjectStore();
  const remote = await openTestLake([makeTopic(), typed], async () => store);
  const copied: number[] = [];
  const count = async (sql: string) => {
    copied.length = 0;
    const onProgress = ({ files }: { files: number }) => copied.push(files);
    return (await runQuery(sql, { store, onProgress })).rows;
  };
  try {
    await remote.land([
      { row: inHour(1, 0) },
      { row: inHour(2, 0), facts: quarantined },
      { topic: typed, row: inHour(3, 0), values: [7, true, null, null, null] },
    ]);
    await remote.land([{ row: inHour(4, -2) }]);
    assert.deepEqual(
      await count(
        "SELECT t.level, q.reason, count(x._index) FROM typed_topic t, _quarantine q, telemetry x GROUP BY ALL",
      ),
      [[7, "schema-violated", 2]],
    );
    assert.deepEqual(copied, [1, 2]);
    assert.deepEqual(await count("SELECT level FROM typed_topic"), [[7]]);
    assert.deepEqual(copied, [1]);
    assert.deepEqual(await count("SELECT 1"), [[1]]);
    assert.deepEqual(copied, []);
  } finally {
    await remote.close();
    store.close();
  }
});

test("a query looks commits up only for tables that it may read", async () => {
  await lake.commit([{ row: inHour(1, 0) }]);
  // More than the log keeps in memory.
  for (let copies = 0; copies < 140; copies++) await lake.commitCopy();
  let reads = 0;
  const store = withStore(lake.store, {
    get: (path) => {
      if (/_commits\/\d{20}\.json$/.test(path)) reads++;
      return lake.store.get(path);
    },
  });
  const run = async (sql: string) => {
    reads = 0;
    const { rows } = await runQuery(sql, { store });
    return { rows, reads };
  };
  const other = await run("SELECT count(*) FROM typed_topic");
  assert.deepEqual(other.rows, [[0]]);
  for (const sql of [
    'SELECT count(*) FROM "Telemetry"',
    "SELECT count(*) FROM query_table('tele' || 'metry')",
  ]) {
    const read = await run(sql);
    assert.deepEqual(read.rows, [[141]], sql);
    assert.ok(read.reads > other.reads, `${read.reads} reads of entries, ${other.reads} for another table`);
  }
});

test("a table that lacks too many commits is refused, and other tables are read", async () => {
  await lake.commit([{ row: inHour(1, 0) }]);
  for (let number = 2; number < 5; number++) await lake.land([{ row: inHour(number, 0) }]);
  const options = { store: lake.store, lackingCommitsMax: 3 };
  await assert.rejects(runQuery("SELECT count(*) FROM telemetry", options), {
    code: "QUERY_REFUSED",
    message: /telemetry lacks rows of the last 4 commits.*tidegate status/,
  });
  assert.deepEqual((await runQuery("SELECT count(*) FROM typed_topic", options)).rows, [[0]]);
  const enough = { store: lake.store, lackingCommitsMax: 4 };
  assert.deepEqual((await runQuery("SELECT count(*) FROM telemetry", enough)).rows, [[4]]);
});

test("a file that the table shows already is not read again from its commit", async () => {
  await lake.commit([{ row: inHour(1, 0) }]);
  await lake.commit([{ row: inHour(2, 0) }], { publish: false });
  const [file = assert.fail()] = (await lake.commitLog.entry(2))?.tables["topic-1"]?.adds ?? [];
  const table = new DeltaTable(lake.store, "telemetry");
  await table.refresh();
  const { path, eventDate, eventHour, bytes, modifiedAtMs, stats } = file;
  const partitionValues = { event_date: eventDate, event_hour: String(eventHour) };
  const add = { path, partitionValues, size: bytes, modificationTime: modifiedAtMs, dataChange: true, stats };
  await table.append([{ add }]);
  assert.deepEqual(await rowsOf("SELECT _index FROM telemetry ORDER BY 1"), [[1], [2]]);
});
