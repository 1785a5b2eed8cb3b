import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { noCommits } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { writeCheckpoint } from "../../../../../bridge/lake/delta/table-checkpoint.ts";
import { columnsOf } from "../../../../../bridge/lake/delta/table-entry.ts";
import { runQuery } from "../../../../../bridge/lake/query/run-query.ts";
import { expireTable } from "../../../../../bridge/lake/retention/expire-table.ts";
import { openLocalStore } from "../../../../../bridge/lake/stores/local/local-store.ts";
import type { ObjectStore } from "../../../../../bridge/lake/stores/object-store.ts";
import { vacuum } from "../../../../../bridge/lake/upkeep/vacuum.ts";
import { deltaRsMissing, readWithDeltaRs } from "../../../../support/delta-rs.ts";
import { S3TestServer } from "../../../../support/s3-server.ts";
import { openTestStore, patientS3Config } from "../../../../support/s3-store.ts";
import {
  column,
  forgetCommits,
  makeRow,
  makeTopic,
  openTestLake,
  silentLogger,
  startMs,
  type TestLake,
  type TestRow,
} from "../../../../support/test-lake.ts";
import { withStore } from "../../../../support/with-store.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const topic = makeTopic({ columns: [column("level", "long")] });
const server = await S3TestServer.start();
after(() => server.close());

/** A row of this hour, relative to that of `startMs`. */
function row(number: number, hour: number): TestRow {
  const eventTimeMs = startMs + hour * hourMs + number;
  return { topic, row: makeRow(number, { eventTimeMs }), values: [number] };
}

async function expire({ store, commitLog, topics }: TestLake, hour: number): Promise<number> {
  let removed = 0;
  const onRemoved = (files: readonly unknown[]) => {
    removed += files.length;
  };
  const { lakeId } = commitLog;
  const columns = await columnsOf(topics, [{ key: topic.topicId, version: 1 }]);
  const belowHour = Math.floor(startMs / hourMs) + hour;
  const table = new DeltaTable(store, topic.name);
  const bound = { lakeId, belowHour, storeMs: await store.now() };
  const given = { table, columns, settled: noCommits, ...bound };
  const outcome = await expireTable({ store, onRemoved }, given, new AbortController().signal);
  assert.equal(outcome, "done");
  return removed;
}

async function levels(lake: TestLake): Promise<unknown[]> {
  const sql = `SELECT level FROM ${topic.name} ORDER BY 1`;
  return (await runQuery(sql, { store: lake.store })).rows.map(([level]) => level);
}

async function dataFiles({ store }: TestLake): Promise<number> {
  let files = 0;
  for await (const { path } of store.list(`${topic.name}/event_date=`))
    if (path.endsWith(".parquet")) files++;
  return files;
}

/** Vacuum when the store's clock has gone on by this time. */
function vacuumLater(lake: TestLake, byMs: number) {
  const { store, commitLog, topics } = lake;
  const later = withStore(store, { now: async () => (await store.now()) + byMs });
  return vacuum({ store: later, commitLog, topics, logger: silentLogger });
}

const stores: readonly (readonly [string, (folder: string) => Promise<ObjectStore>])[] = [
  ["a disk", openLocalStore],
  ["S3", (folder) => openTestStore(server, { folder, prefix: "retention", config: patientS3Config })],
];

for (const [where, openStore] of stores)
  describe(`a lake on ${where}`, { concurrency: false }, () => {
    test("rows are removed from entries and from checkpoints; readers, queries and vacuum agree", async () => {
      const lake = await openTestLake([topic], openStore);
      try {
        await lake.commit([row(1, -30), row(2, -5), row(3, 0)]);
        await writeCheckpoint(lake.store, new DeltaTable(lake.store, topic.name), Date.now());
        await lake.commit([row(4, -30), row(5, 1)]);
        assert.equal(await expire(lake, -4), 3);
        assert.deepEqual(await levels(lake), [3, 5]);
        await lake.commit([row(6, -30)]);
        assert.deepEqual(await levels(lake), [3, 5, 6], "late rows of a removed hour are filed");
        await writeCheckpoint(lake.store, new DeltaTable(lake.store, topic.name), Date.now());
        assert.equal(await expire(lake, -4), 1);
        await writeCheckpoint(lake.store, new DeltaTable(lake.store, topic.name), Date.now());
        assert.equal(await expire(lake, -4), 0);
        assert.deepEqual(await levels(lake), [3, 5]);

        assert.equal((await vacuumLater(lake, 30 * dayMs)).orphans, 0, "commits name the files");
        await forgetCommits(lake);
        assert.equal((await vacuumLater(lake, 7 * dayMs)).orphans, 0);
        assert.equal(await dataFiles(lake), 6);
        assert.equal((await vacuumLater(lake, 8 * dayMs + hourMs)).orphans, 4);
        assert.equal(await dataFiles(lake), 2);
        assert.deepEqual(await levels(lake), [3, 5]);
      } finally {
        await lake.close();
      }
    });
  });

test("delta-rs reads the table before and after, and the version between", {
  skip: deltaRsMissing(),
}, async () => {
  const lake = await openTestLake([topic]);
  try {
    await lake.commit([row(1, -30), row(2, -5), row(3, 0)]);
    await expire(lake, -4);
    const folder = join(lake.folder, topic.name);
    const rowsOf = (version?: number) => {
      const { rows, recordsByStatistics } = readWithDeltaRs(folder, version === undefined ? {} : { version });
      return [rows, recordsByStatistics];
    };
    assert.deepEqual(
      [rowsOf(0), rowsOf(1), rowsOf()],
      [
        [3, 3],
        [1, 1],
        [1, 1],
      ],
    );
    await writeCheckpoint(lake.store, new DeltaTable(lake.store, topic.name), Date.now());
    assert.deepEqual(rowsOf(), [1, 1]);
  } finally {
    await lake.close();
  }
});
