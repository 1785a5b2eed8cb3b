import assert from "node:assert/strict";
import { readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { runQuery } from "../../bridge/lake/query/run-query.ts";
import { changeWithDeltaRs, deltaRsMissing, readWithDeltaRs } from "../support/delta-rs.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
  type TestRow,
} from "../support/test-lake.ts";

const skip = deltaRsMissing();
if (skip) console.log(`delta-rs: skipped, ${skip}`);

const hourMs = 3_600_000;
const first = makeTopic();
const second = makeTopic({
  version: 2,
  columns: [
    column("level", "long"),
    column("note", "string"),
    column("seen", "timestamp"),
    column("on", "boolean"),
  ],
});

function rowsFrom(start: number, count: number, fields: Partial<TestRow> = {}): TestRow[] {
  return Array.from({ length: count }, (_, index) => ({
    topic: first,
    row: makeRow(start + index),
    ...fields,
  }));
}

async function withLake(work: (lake: TestLake, table: string) => Promise<void>): Promise<void> {
  const lake = await openTestLake([first, second]);
  try {
    await work(lake, join(lake.folder, "telemetry"));
  } finally {
    await lake.close();
  }
}

async function queryRows(lake: TestLake, sql: string): Promise<readonly (readonly unknown[])[]> {
  return (await runQuery(sql, { store: lake.store })).rows;
}

function logFiles(table: string): string[] {
  return readdirSync(join(table, "_delta_log")).sort();
}

/**
 * Live files and rows by plain SQL over the log's JSON: a reader of forty lines that shares no code with
 * ours.
 */
async function readWithSql(table: string): Promise<{ files: number; rows: number; statistics: number }> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const result = await connection.runAndReadAll(`
    WITH entries AS (
      SELECT filename AS entry, "add", remove FROM read_json('${table}/_delta_log/*.json', format = 'newline_delimited',
        filename = true, columns = {"add": 'STRUCT(path VARCHAR, stats VARCHAR)', remove: 'STRUCT(path VARCHAR)'})
    ), last AS (
      SELECT coalesce("add".path, remove.path) AS path, arg_max(remove IS NULL, entry) AS live,
        arg_max(("add".stats::JSON->>'numRecords')::INT, entry) AS records
      FROM entries WHERE "add" IS NOT NULL OR remove IS NOT NULL GROUP BY ALL
    )
    SELECT count(*)::INT, list('${table}/' || path), sum(records)::INT FROM last WHERE live`);
  const [files, paths, statistics] = result.getRowsJson()[0] ?? [];
  const list = (paths as string[]).map((path) => `'${path}'`).join(", ");
  const counted = await connection.runAndReadAll(
    `SELECT count(*)::INT FROM read_parquet([${list}], union_by_name = true)`,
  );
  return { files: Number(files), rows: Number(counted.getRows()[0]?.[0]), statistics: Number(statistics) };
}

test("delta-rs, SQL over the log, and our query read the same table", { skip }, () =>
  withLake(async (lake, table) => {
    const later = { ...makeRow(500), eventTimeMs: startMs + hourMs };
    await lake.commit(rowsFrom(0, 300));
    await lake.commit([...rowsFrom(300, 100), { topic: first, row: later }]);
    const view = readWithDeltaRs(table, { rows: 1 });
    assert.equal(view.rows, 401);
    assert.equal(view.recordsByStatistics, 401);
    assert.deepEqual(view.partitionColumns, ["event_date", "event_hour"]);
    assert.deepEqual(
      [
        view.schema["event_time"],
        view.schema["message_id"],
        view.schema["event_date"],
        view.schema["event_hour"],
      ],
      ["timestamp", "binary", "date", "integer"],
    );
    const [row] = view.sample;
    assert.equal(row?.["event_time"], "2026-11-22T10:05:00+00:00");
    assert.equal(row?.["message_id"], Buffer.from("message-0").toString("hex"));
    assert.deepEqual(
      [row?.["event_date"], row?.["event_hour"], row?.["_position"]],
      ["2026-11-22", 10, "0".repeat(20)],
    );
    const pruned = readWithDeltaRs(table, { where: [["event_hour", "=", "11"]] });
    assert.deepEqual([pruned.files, pruned.rows], [1, 1]);
    assert.deepEqual(await readWithSql(table), { files: 3, rows: 401, statistics: 401 });
    assert.deepEqual(
      await queryRows(
        lake,
        "SELECT event_hour, count(*), max(event_time) FROM telemetry GROUP BY ALL ORDER BY 1",
      ),
      [
        [10, 400, "2026-11-22T10:05:03.990Z"],
        [11, 1, "2026-11-22T11:05:00.000Z"],
      ],
    );
  }),
);

test("rows from before an added typed column have null in it, in every reader", { skip }, () =>
  withLake(async (lake, table) => {
    await lake.commit(rowsFrom(0, 10));
    await lake.commit(rowsFrom(10, 5, { topic: second, values: [2n ** 60n, "ü", startMs * 1000, true] }));
    const view = readWithDeltaRs(table, { rows: 15 });
    const { level, note, seen, on } = view.schema;
    assert.deepEqual([level, note, seen, on], ["long", "string", "timestamp", "boolean"]);
    assert.deepEqual(
      view.sample.map((row) => [row["note"], row["on"], row["seen"]]),
      [
        ...Array.from({ length: 10 }, () => [null, null, null]),
        ...Array.from({ length: 5 }, () => ["ü", true, "2026-11-22T10:05:00+00:00"]),
      ],
    );
    assert.equal(readWithDeltaRs(table, { version: 0 }).schema["note"], undefined);
    assert.deepEqual(await queryRows(lake, "SELECT count(*), count(level), min(level) FROM telemetry"), [
      [15, 5, String(2n ** 60n)],
    ]);
  }),
);

/** Commits and publishes copies of the newest file until the table's log has this many entries. */
async function growTo(lake: TestLake, entries: number, publisher = lake.publisher): Promise<void> {
  for (;;) {
    const { number } = await lake.commitLog.load();
    if (number === entries) return;
    await lake.commitCopy();
    await publisher.publishPending();
  }
}

function entriesLeft(table: string): number[] {
  return logFiles(table).flatMap((file) => (/^\d{20}\.json$/.test(file) ? [Number(file.slice(0, 20))] : []));
}

test(
  "after 100 entries a checkpoint replaces them: delta-rs, our query and the publisher work without the early entries",
  {
    skip,
  },
  () =>
    withLake(async (lake, table) => {
      await lake.commit(rowsFrom(0, 3));
      await growTo(lake, 205);
      const checkpoints = logFiles(table).filter((file) => file.endsWith(".checkpoint.parquet"));
      assert.deepEqual(
        checkpoints.map((file) => Number(file.slice(0, 20))),
        [99, 199],
      );
      for (const file of logFiles(table))
        if (/^\d{20}\.json$/.test(file) && Number(file.slice(0, 20)) < 199)
          rmSync(join(table, "_delta_log", file));
      assert.equal(readWithDeltaRs(table).rows, 615);
      assert.deepEqual(await queryRows(lake, "SELECT count(*), count(DISTINCT message_id) FROM telemetry"), [
        [615, 3],
      ]);
      await lake.commit(rowsFrom(1000, 1), { publish: false });
      assert.deepEqual(await lake.openPublisher().publishPending(), { published: 1 });
      const view = readWithDeltaRs(table);
      assert.deepEqual([view.version, view.rows, view.files], [205, 616, 206]);
      rmSync(join(table, "_delta_log", "_last_checkpoint"));
      assert.equal((await queryRows(lake, "SELECT count(*) FROM telemetry"))[0]?.[0], 616);
      writeFileSync(join(table, "_delta_log", "00000000000000000199.checkpoint.parquet"), "damaged");
      await assert.rejects(queryRows(lake, "SELECT 1 FROM telemetry"), {
        code: "LAKE_DAMAGED",
        message: /199.checkpoint/,
      });
    }),
);

test(
  "entries older than the retention are deleted after a checkpoint, and readers see the same table",
  { skip },
  () =>
    withLake(async (lake, table) => {
      await lake.commit(rowsFrom(0, 1));
      await growTo(lake, 150);
      assert.equal(entriesLeft(table)[0], 0);
      const monthAgo = new Date(Date.now() - 31 * 24 * hourMs);
      for (const file of logFiles(table)) utimesSync(join(table, "_delta_log", file), monthAgo, monthAgo);
      await growTo(lake, 205, lake.openPublisher());
      assert.equal(entriesLeft(table)[0], 99);
      assert.equal(entriesLeft(table).length, 106);
      assert.equal(readWithDeltaRs(table).rows, 205);
      assert.equal((await queryRows(lake, "SELECT count(*) FROM telemetry"))[0]?.[0], 205);
    }),
);

test(
  "shorter periods make checkpoints and deletion of entries come sooner, and a publisher that slept longer reads again",
  { skip },
  () =>
    withLake(async (lake, table) => {
      let nowMs = Date.now();
      const periods = { checkpointEntries: 10, logRetentionMs: 60_000, now: () => nowMs };
      await lake.commit(rowsFrom(0, 1));
      const sleeper = lake.openPublisher(periods);
      await growTo(lake, 5, sleeper);
      const active = lake.openPublisher(periods);
      await growTo(lake, 15, active);
      const minutesAgo = new Date(nowMs - 61_000);
      for (const file of logFiles(table)) utimesSync(join(table, "_delta_log", file), minutesAgo, minutesAgo);
      nowMs += 60_000;
      await growTo(lake, 25, active);
      assert.equal(entriesLeft(table)[0], 9);
      await lake.commitCopy();
      assert.deepEqual(await sleeper.publishPending(), { published: 1 });
      assert.equal(readWithDeltaRs(table).rows, 26);
      assert.equal(entriesLeft(table).at(-1), 25);
    }),
);

test(
  "delta-rs appends, adds a column, checkpoints, compacts and deletes, and we continue next to it",
  { skip },
  () =>
    withLake(async (lake, table) => {
      let rows = 0;
      const commit = async (topicRows = rowsFrom(rows, 5)) => {
        await lake.commit(topicRows);
        rows += topicRows.length;
      };
      const check = async (foreignRows: number) => {
        assert.equal(readWithDeltaRs(table).rows, rows + foreignRows);
        const counted = await queryRows(
          lake,
          "SELECT count(*), count(*) FILTER (device_id = 'foreign-device'), count(DISTINCT message_id) FROM telemetry",
        );
        assert.deepEqual(counted, [[rows + foreignRows, foreignRows, rows]]);
      };
      await commit();
      changeWithDeltaRs(table, "append");
      await commit();
      await check(1);
      changeWithDeltaRs(table, "checkpoint");
      await commit();
      await check(1);
      assert.deepEqual(await lake.openPublisher().publishPending(), { published: 0 });
      changeWithDeltaRs(table, "compact");
      await commit();
      await check(1);
      changeWithDeltaRs(table, "add-column");
      await commit();
      await check(2);
      changeWithDeltaRs(table, "delete");
      await commit();
      await check(0);
      const { number } = await lake.commitLog.load();
      await growTo(lake, number + 105);
      const ours = logFiles(table).filter(
        (file) => /^\d{20}\.checkpoint\.parquet$/.test(file) && Number(file.slice(0, 20)) > 50,
      );
      assert.equal(ours.length, 1);
      assert.equal(readWithDeltaRs(table).rows, rows + 105 * 5);
      await commit(rowsFrom(5000, 1, { topic: second, values: [1, "n", 2, false] }));
      assert.equal(readWithDeltaRs(table).rows, rows + 105 * 5);
    }),
);
