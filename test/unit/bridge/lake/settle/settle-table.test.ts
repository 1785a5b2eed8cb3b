import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { landedLanes } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { fenceId, settledLanes } from "../../../../../bridge/lake/delta/lane-transactions.ts";
import { cleanLog, writeCheckpoint } from "../../../../../bridge/lake/delta/table-checkpoint.ts";
import type { LandedSource, RowRound, TableRows } from "../../../../../bridge/lake/landing/row-files.ts";
import { landedColumns } from "../../../../../bridge/lake/parquet/landed-rows.ts";
import { createParquetRowFiles } from "../../../../../bridge/lake/parquet/parquet-row-files.ts";
import { runQuery } from "../../../../../bridge/lake/query/run-query.ts";
import { settleTable, type TableToSettle } from "../../../../../bridge/lake/settle/settle-table.ts";
import type { ObjectStore } from "../../../../../bridge/lake/stores/object-store.ts";
import { writeTopicVersion } from "../../../../../bridge/lake/topic-versions.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
  type TestRow,
} from "../../../../support/test-lake.ts";
import { withStore } from "../../../../support/with-store.ts";

const hourMs = 3_600_000;
const topic = makeTopic({ columns: [column("level", "long")] });
let lake: TestLake;

beforeEach(async () => {
  lake = await openTestLake([topic]);
});
afterEach(() => lake.close());

/** A row of the present hour, of the next one, or of an earlier one that came late. */
function row(number: number, hour = 0): TestRow {
  const eventTimeMs = startMs + hour * hourMs + number;
  const ingestTimeMs = startMs + Math.max(0, hour) * hourMs + number;
  return { topic, row: makeRow(number, { eventTimeMs, ingestTimeMs }), values: [number] };
}

async function sources(): Promise<LandedSource[]> {
  const { number } = await lake.commitLog.load();
  const found: LandedSource[] = [];
  for (let commit = 1; commit <= number; commit++) {
    const path = (await lake.commitLog.entry(commit))?.landing?.file.path;
    if (path !== undefined) found.push({ commit, path });
  }
  return found;
}

/** All landed rows of commits in (after, upTo], and the direct files of these commits. */
async function toSettle(after: number, upTo: number): Promise<TableToSettle> {
  const files = [];
  for (let commit = after + 1; commit <= upTo; commit++)
    files.push(...((await lake.commitLog.entry(commit))?.tables[topic.topicId]?.adds ?? []));
  const versions = lake.topics.definitions().filter(({ name }) => name === topic.name);
  const ranges = landedLanes.map((lane) => ({ lane, after, upTo }));
  const rows: TableRows = { name: topic.name, versions, ranges };
  return { rows, direct: { after, upTo, files }, columns: landedColumns(rows) };
}

interface Round {
  readonly table?: DeltaTable;
  readonly store?: ObjectStore;
  /** Called after the files were written. */
  readonly onWritten?: () => Promise<unknown>;
}

async function settle(given: TableToSettle, { store = lake.store, onWritten, ...round }: Round = {}) {
  const opened = await createParquetRowFiles({ store: lake.store, now: Date.now }).open(await sources());
  const watched: RowRound = {
    write: async (rows) => {
      const files = await opened.write(rows);
      await onWritten?.();
      return files;
    },
    close: () => opened.close(),
  };
  const table = round.table ?? new DeltaTable(store, topic.name);
  try {
    return await settleTable({ lakeId: lake.commitLog.lakeId, now: Date.now }, table, given, watched);
  } finally {
    await watched.close();
  }
}

/** Numbers of the rows: of the table's own files, and of all live rows. */
async function numbers() {
  const table = new DeltaTable(lake.store, topic.name);
  const { txns } = await table.refresh();
  const sql = `SELECT level FROM ${topic.name} ORDER BY 1`;
  const live = (await runQuery(sql, { store: lake.store })).rows.map(([level]) => level);
  return { shown: settledLanes(txns, lake.commitLog.lakeId), files: (await table.files()).length, live };
}

function everywhere(commit: number) {
  return { direct: commit, even: commit, odd: commit, late: commit };
}

test("one version of the table shows the rows of all lanes and the files of the same commits", async () => {
  await lake.land([row(1), row(2, 1), row(3, -2)], { direct: [row(4, -5)] });
  await lake.land([row(5), row(6)]);
  assert.equal(await settle(await toSettle(0, 2)), "settled");
  assert.deepEqual(await numbers(), { shown: everywhere(2), files: 4, live: [1, 2, 3, 4, 5, 6] });
  assert.equal((await new DeltaTable(lake.store, topic.name).refresh()).version, 0);
  await lake.land([row(7), row(8, -2)]);
  assert.equal(await settle(await toSettle(2, 3)), "settled");
  assert.deepEqual(await numbers(), { shown: everywhere(3), files: 6, live: [1, 2, 3, 4, 5, 6, 7, 8] });
});

test("of two processes that settle the same rows, one does, and the other finds the lanes moved", async () => {
  await lake.land([row(1), row(2, 1)]);
  const given = await toSettle(0, 1);
  assert.deepEqual((await Promise.all([settle(given), settle(given)])).sort(), ["moved", "settled"]);
  const onWritten = () => assert.fail("no files are written for lanes that moved");
  assert.equal(await settle(given, { onWritten }), "moved");
  assert.deepEqual(await numbers(), { shown: everywhere(1), files: 2, live: [1, 2] });
});

test("a process that is overtaken between its files and its version adds nothing", async () => {
  await lake.land([row(1)]);
  await lake.land([row(2)]);
  const [first, both] = [await toSettle(0, 1), await toSettle(0, 2)];
  assert.equal(await settle(both, { onWritten: () => settle(first) }), "moved");
  assert.deepEqual((await numbers()).live, [1, 2], "the second row waits for the next round");
  assert.equal(await settle(await toSettle(1, 2)), "settled");
  assert.deepEqual(await numbers(), { shown: everywhere(2), files: 2, live: [1, 2] });
});

test("a version of another writer comes first: both are kept", async () => {
  await lake.land([row(1)]);
  assert.equal(await settle(await toSettle(0, 1)), "settled");
  await lake.land([row(2)]);
  const foreign = new DeltaTable(lake.store, topic.name);
  const onWritten = async () => {
    await foreign.refresh();
    await foreign.append([{ commitInfo: { operation: "OPTIMIZE" } }]);
  };
  assert.equal(await settle(await toSettle(1, 2), { onWritten }), "settled");
  assert.deepEqual(await numbers(), { shown: everywhere(2), files: 2, live: [1, 2] });
  assert.equal((await foreign.refresh()).version, 2);
});

test("if the store's answer is lost, the version stands, and the next try finds the lanes moved", async () => {
  await lake.land([row(1)]);
  let isLost = false;
  const store = withStore(lake.store, {
    putIfAbsent: async (path, bytes) => {
      const outcome = await lake.store.putIfAbsent(path, bytes);
      if (isLost || !path.includes("_delta_log")) return outcome;
      isLost = true;
      throw new BridgeError("STORE_UNAVAILABLE", "injected: the answer is lost", { retryable: true });
    },
  });
  const given = await toSettle(0, 1);
  await assert.rejects(settle(given, { store }), { code: "STORE_UNAVAILABLE", retryable: true });
  assert.deepEqual(await numbers(), { shown: everywhere(1), files: 1, live: [1] });
  assert.equal(await settle(given, { store }), "moved");
  assert.deepEqual(await numbers(), { shown: everywhere(1), files: 1, live: [1] });
});

test("files that are older than a fence are not shown", async () => {
  await lake.land([row(1)]);
  assert.equal(await settle(await toSettle(0, 1)), "settled");
  await lake.land([row(2)]);
  const vacuum = new DeltaTable(lake.store, topic.name);
  const onWritten = async () => {
    const { version } = await vacuum.refresh();
    await vacuum.append([{ txn: { appId: fenceId(lake.commitLog.lakeId), version: version + 1 } }]);
  };
  const given = await toSettle(1, 2);
  assert.equal(await settle(given, { onWritten }), "fenced");
  assert.deepEqual(await numbers(), { shown: everywhere(1), files: 1, live: [1, 2] });
  assert.equal(await settle(given), "settled");
  assert.deepEqual(await numbers(), { shown: everywhere(2), files: 2, live: [1, 2] });
});

test("if the log is cleaned up while a process sleeps before its version, nothing counts as settled", async () => {
  await lake.land([row(1)]);
  assert.equal(await settle(await toSettle(0, 1)), "settled");
  await lake.land([row(2)]);
  let nowMs = Date.now();
  let sleeps = true;
  const store = withStore(lake.store, {
    putIfAbsent: async (path, bytes) => {
      if (sleeps) await cleanUp();
      sleeps = false;
      return lake.store.putIfAbsent(path, bytes);
    },
  });
  const cleanUp = async () => {
    const other = new DeltaTable(lake.store, topic.name);
    for (const operation of ["first", "second"]) {
      await other.refresh();
      await other.append([{ commitInfo: { operation } }]);
    }
    await writeCheckpoint(lake.store, other, nowMs);
    await cleanLog(lake.store, topic.name, { nowMs: nowMs + 60_000, retainMs: 0 });
    nowMs += 31 * 24 * hourMs;
  };
  const given = await toSettle(1, 2);
  const table = new DeltaTable(store, topic.name, { now: () => nowMs });
  assert.equal(await settle(given, { table }), "fenced");
  assert.deepEqual(await numbers(), { shown: everywhere(1), files: 1, live: [1, 2] });
  assert.equal(await settle(given, { table }), "settled");
  assert.deepEqual(await numbers(), { shown: everywhere(2), files: 2, live: [1, 2] });
});

test("columns of a new version are added; a table that can't take them is refused before files are written", async () => {
  await lake.land([row(1)]);
  assert.equal(await settle(await toSettle(0, 1)), "settled");
  const second = { ...topic, version: 2, columns: [column("level", "long"), column("state", "string")] };
  await writeTopicVersion(lake.store, second);
  await lake.topics.refresh();
  await lake.land([{ topic: second, row: makeRow(2), values: [2, "on"] }, row(3)]);
  assert.equal(await settle(await toSettle(1, 2)), "settled");
  const { rows } = await runQuery(`SELECT level, state FROM ${topic.name} ORDER BY 1`, { store: lake.store });
  assert.deepEqual(rows, [
    [1, null],
    [2, "on"],
    [3, null],
  ]);
  await lake.land([row(4)]);
  const given = await toSettle(2, 3);
  const unfit = { ...given, columns: [{ name: "state", type: "long" as const }] };
  let isWritten = false;
  const onWritten = async () => {
    isWritten = true;
  };
  await assert.rejects(settle(unfit, { onWritten }), { code: "TABLE_CONFLICT" });
  assert.equal(isWritten, false);
  assert.deepEqual((await numbers()).live, [1, 2, 3, 4]);
});

test("lanes without rows move on, and a lane that the round leaves out stays", async () => {
  await lake.land([row(1, -2), row(2)]);
  const given = await toSettle(0, 1);
  const ranges = given.rows.ranges.filter(({ lane }) => lane !== "late");
  assert.equal(await settle({ ...given, rows: { ...given.rows, ranges }, direct: null }), "settled");
  const { shown, live } = await numbers();
  assert.deepEqual(shown, { direct: 0, even: 1, odd: 1, late: 0 });
  assert.deepEqual(live, [1, 2]);
});
