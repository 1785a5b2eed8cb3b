import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { pino } from "pino";
import { BridgeError } from "../../../../../bridge/errors.ts";
import type { QueryProgress } from "../../../../../bridge/lake/query/query-views.ts";
import { runQuery } from "../../../../../bridge/lake/query/run-query.ts";
import { createSeedSource } from "../../../../../bridge/lake/seeding/lake-seed-source.ts";
import { vacuum } from "../../../../../bridge/lake/upkeep/vacuum.ts";
import { S3TestServer } from "../../../../support/s3-server.ts";
import { openTestStore, s3Config } from "../../../../support/s3-store.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
} from "../../../../support/test-lake.ts";

const hourMs = 3_600_000;
const typed = makeTopic({ topicId: "typed", name: "typed_topic", columns: [column("level", "long")] });
let server: S3TestServer;
let lake: TestLake;
let lakes = 0;

before(async () => {
  server = await S3TestServer.start();
  lake = await openTestLake([makeTopic(), typed], (folder) =>
    openTestStore(server, { folder, prefix: "query" }),
  );
  // Three hours of one topic, two of another.
  await lake.commit([
    { row: makeRow(0, { eventTimeMs: startMs }) },
    { row: makeRow(1, { eventTimeMs: startMs + hourMs }) },
    { row: makeRow(2, { eventTimeMs: startMs + 2 * hourMs }) },
    { topic: typed, row: makeRow(3, { eventTimeMs: startMs }), values: [5] },
    { topic: typed, row: makeRow(4, { eventTimeMs: startMs + hourMs }), values: [7] },
  ]);
});
after(async () => {
  await lake.close();
  await server.close();
});

interface Asked {
  readonly rows: readonly (readonly unknown[])[];
  /** Data files that were downloaded, by table and hour. */
  readonly files: readonly string[];
}

/** Queries in a process of its own, with an empty cache. */
async function ask(sql: string, onProgress?: QueryProgress): Promise<Asked> {
  const store = await openTestStore(server, {
    folder: `${lake.folder}/reader-${lakes++}`,
    prefix: "query",
    access: "read",
  });
  server.takeRequests();
  const { rows } = await runQuery(sql, { store, ...(onProgress ? { onProgress } : {}) });
  assert.deepEqual(readdirSync(store.stagingFolder), []);
  const files = server
    .takeRequests()
    .flatMap((request) => /GET query\/(\w+)\/.*event_hour=(\d+)\//.exec(request)?.slice(1).join(" ") ?? []);
  return { rows, files: files.sort() };
}

const first = new Date(startMs).getUTCHours();
const telemetry = [0, 1, 2].map((hours) => `telemetry ${first + hours}`);
const level = [0, 1].map((hours) => `typed_topic ${first + hours}`);
const cases: readonly (readonly [
  sql: string,
  rows: readonly (readonly unknown[])[] | null,
  files: readonly string[],
])[] = [
  ["SELECT count(*) FROM telemetry", [["3"]], telemetry],
  [`SELECT device_id FROM telemetry WHERE event_hour = ${first + 1}`, [["device-1"]], telemetry.slice(1, 2)],
  [
    `SELECT count(*) FROM telemetry WHERE event_date = '2026-11-22' AND event_hour <> ${first}`,
    [["2"]],
    telemetry.slice(1),
  ],
  ["SELECT count(*) FROM telemetry WHERE event_date < '2020-01-01'", [["0"]], []],
  ["SELECT max(level) FROM typed_topic WHERE level > 6", [["7"]], level],
  [
    `SELECT count(*) FROM telemetry t JOIN typed_topic l USING (event_hour) WHERE event_hour = ${first}`,
    [["1"]],
    [telemetry[0], level[0]].map(String),
  ],
  [
    `WITH hours AS (SELECT * FROM telemetry) SELECT (SELECT count(*) FROM hours WHERE event_hour = ${first}), count(*) FROM hours WHERE event_hour = ${first + 2}`,
    [["1", "1"]],
    [telemetry[0], telemetry[2]].map(String),
  ],
  ["SELECT count(*) FROM telemetry WHERE event_date >= current_date + 3650", [["0"]], []],
  ["SELECT 1 + 1", [[2]], []],
  ["DESCRIBE telemetry", null, []],
  ["SHOW TABLES", [["_quarantine"], ["telemetry"], ["typed_topic"]], []],
  ["EXPLAIN SELECT * FROM telemetry", null, []],
  ["SUMMARIZE typed_topic", null, level],
];

for (const [sql, rows, files] of cases)
  test(`over S3, ${sql} downloads only the files that it needs`, async () => {
    const asked = await ask(sql);
    if (rows !== null)
      assert.deepEqual(
        asked.rows.map((row) => row.map(String)),
        rows.map((row) => row.map(String)),
      );
    assert.deepEqual(asked.files, files);
  });

test("over S3, wrong SQL is refused as on a disk, and nothing outside the copies can be read", async () => {
  await assert.rejects(ask("SELECT nonsense FROM telemetry"), { code: "QUERY_FAILED", message: /nonsense/ });
  await assert.rejects(ask("SELECT 1; SELECT 2"), { code: "QUERY_REFUSED" });
  await assert.rejects(ask("COPY telemetry TO '/tmp/x.csv'"), { code: "QUERY_REFUSED" });
  await assert.rejects(ask("EXPLAIN ANALYZE SELECT * FROM telemetry"), { code: "QUERY_REFUSED" });
  await assert.rejects(ask("SELECT * FROM read_text('/etc/hostname')"), { code: "QUERY_FAILED" });
});

test("over S3, progress counts the copied files", async () => {
  const seen: number[] = [];
  await ask("SELECT count(*) FROM telemetry", ({ files, filesTotal, bytesTotal }) => {
    assert.equal(filesTotal, 3);
    assert.ok(bytesTotal > 0);
    seen.push(files);
  });
  assert.deepEqual(seen, [1, 2, 3]);
});

test("a query that needs more copies than the setting allows is refused before anything is copied", async () => {
  const config = { ...s3Config(), cacheMaxBytes: 2000 };
  const store = await openTestStore(server, {
    folder: `${lake.folder}/small`,
    prefix: "query",
    config,
    access: "read",
  });
  server.takeRequests();
  await assert.rejects(runQuery("SELECT count(*) FROM telemetry", { store }), (error) => {
    assert.ok(error instanceof BridgeError);
    assert.equal(error.code, "QUERY_REFUSED");
    assert.match(error.message, /s3\.cacheMaxBytes/);
    return true;
  });
  assert.deepEqual(
    server.takeRequests().filter((request) => request.endsWith(".parquet")),
    [],
  );
});

test("a reader with access to read writes nothing", async () => {
  const keys = [...server.store.objects.keys()];
  await ask("SELECT count(*) FROM telemetry");
  assert.deepEqual([...server.store.objects.keys()], keys);
});

test("a commit to one table, with its file and its table's entry, is seven requests and no listing", async () => {
  const fresh = await openTestLake([makeTopic()], (folder) =>
    openTestStore(server, { folder, prefix: "counted" }),
  );
  try {
    await fresh.commit([{ row: makeRow(0) }]);
    server.takeRequests();
    await fresh.commit([{ row: makeRow(1) }]);
    const requests = server.takeRequests().map((request) => request.replace(/[^ ]*\//, ""));
    assert.deepEqual(
      requests.map((request) => request.replace(/[0-9a-f-]{36}/, "FILE").replace(/0{10,}/, "")),
      [
        "PUT FILE.parquet",
        "GET 2.json",
        "PUT 2.json",
        // Whether the log was pruned below the new entry.
        "GET 1.json",
        "GET 3.json",
        "GET 1.json",
        "PUT 1.json",
      ],
    );
  } finally {
    await fresh.close();
  }
});

test("a checkpoint in S3 is read by the next process that opens the table, and vacuum deletes only unnamed files", async () => {
  const fresh = await openTestLake([makeTopic()], (folder) =>
    openTestStore(server, { folder, prefix: "long" }),
  );
  try {
    await fresh.commit([{ row: makeRow(1) }]);
    const publisher = fresh.openPublisher({ checkpointEntries: 10 });
    for (let number = 0; number < 13; number++) {
      await fresh.commitCopy();
      await publisher.publishPending();
    }
    assert.ok([...server.store.objects.keys()].some((key) => key.endsWith(".checkpoint.parquet")));
    const store = await openTestStore(server, {
      folder: `${fresh.folder}/reader`,
      prefix: "long",
      access: "read",
    });
    assert.deepEqual((await runQuery("SELECT count(*) FROM telemetry", { store })).rows.map(String), ["14"]);
    const orphan =
      "long/telemetry/event_date=2026-01-01/event_hour=1/00000000-0000-4000-8000-000000000000.parquet";
    const old = { bytes: Buffer.alloc(9), tag: "t", modified: new Date(Date.now() - 48 * hourMs) };
    server.store.objects.set(orphan, old);
    const { store: writer, commitLog, topics } = fresh;
    const logger = pino({ level: "silent" });
    const report = await vacuum({ store: writer, commitLog, topics, logger });
    assert.deepEqual({ ...report }, { files: 15, orphans: 1, orphanBytes: 9, fences: 1 });
    assert.equal(server.store.objects.has(orphan), false);
  } finally {
    await fresh.close();
  }
});

test("a table whose log somebody deleted from the bucket is parked alone, by a running gateway and by the next one", async () => {
  const fresh = await openTestLake([makeTopic(), typed], (folder) =>
    openTestStore(server, { folder, prefix: "deleted" }),
  );
  try {
    let nowMs = Date.now();
    const publisher = fresh.openPublisher({ now: () => nowMs });
    const commitToBoth = async (number: number) => {
      const rows = [{ row: makeRow(number) }, { topic: typed, row: makeRow(number + 1), values: [number] }];
      await fresh.commit(rows, { publish: false });
      return publisher.publishPending();
    };
    await commitToBoth(0);
    const { objects } = server.store;
    const deleted = [...objects].filter(([key]) => key.startsWith("deleted/telemetry/_delta_log/"));
    for (const [key] of deleted) objects.delete(key);
    await commitToBoth(2);
    nowMs += 60_000;
    assert.deepEqual(await commitToBoth(4), { published: 1 });
    const next = fresh.openPublisher();
    assert.deepEqual(await next.publishPending(), { published: 0 });
    for (const { parked } of [publisher.troubles(), next.troubles()])
      assert.deepEqual(
        parked.map(({ table, code }) => [table, code]),
        [["telemetry", "LAKE_DAMAGED"]],
      );
    const sql = (table: string) => runQuery(`SELECT count(*) FROM ${table}`, { store: fresh.store });
    assert.deepEqual((await sql("typed_topic")).rows.map(String), ["3"]);
    for (const [key, object] of deleted) objects.set(key, object);
    assert.deepEqual(await fresh.openPublisher().publishPending(), { published: 1 });
    assert.deepEqual((await sql("telemetry")).rows.map(String), ["3"]);
  } finally {
    await fresh.close();
  }
});

test("windows are seeded from copies, which are deleted afterwards", async () => {
  const seeds = createSeedSource({ store: lake.store, commitLog: lake.commitLog });
  const ids: string[] = [];
  const query = { parts: [{ streamId: "stream-1", partition: 0, sinceMs: 0 }], upToCommit: 99 };
  for await (const rows of seeds.rows(query)) ids.push(...rows.deviceIds.slice(0, rows.length));
  assert.ok(ids.length > 0);
  assert.deepEqual(readdirSync(lake.store.stagingFolder), []);
});
