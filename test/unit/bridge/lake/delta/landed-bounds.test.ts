import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import { type LandedLane, noCommits } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { transactionId } from "../../../../../bridge/lake/delta/lane-transactions.ts";
import { entryActions } from "../../../../../bridge/lake/delta/table-entry.ts";
import { createTablePublisher } from "../../../../../bridge/lake/delta/table-publisher.ts";
import { openTopicCatalog, writeTopicVersion } from "../../../../../bridge/lake/topic-versions.ts";
import { baseColumns } from "../../../../../bridge/topics/table-columns.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";
import { makeTopic, silentLogger } from "../../../../support/test-lake.ts";

const monthMs = 30 * 86_400_000;

/** A lake whose commits are all old enough to be given up; each publishing looks for such commits. */
async function openLake() {
  let nowMs = Date.UTC(2026, 10, 22);
  const store = new MemoryObjectStore({ now: () => nowMs });
  await writeTopicVersion(store, { ...makeTopic() });
  const log = await openCommitLog(store, { create: true, entriesPerSnapshot: 2 });
  const publisher = createTablePublisher({
    store,
    commitLog: log,
    topics: await openTopicCatalog(store),
    logger: silentLogger,
    registry: new Registry(),
  });
  const commit = async (lane?: LandedLane) => {
    const number = (await log.load()).number + 1;
    const file = { path: `_landing/${number}.parquet`, bytes: 1, size: 1, minStreamMs: 0, maxStreamMs: 0 };
    const tables = { "topic-1": { name: "telemetry", version: 1, rows: lane ? { [lane]: 1 } : {} } };
    const entry = { format: 5, number, commitId: `c${number}`, committedAtMs: 1, moves: {}, tables: {} };
    const { outcome } = await log.append({ ...entry, ...(lane && { landing: { file, tables } }) } as never);
    assert.equal(outcome, "committed");
  };
  return {
    log,
    commit,
    settle: async (lane: LandedLane, upTo: number) => {
      const table = new DeltaTable(store, "telemetry");
      const transactions = [{ appId: transactionId(log.lakeId, lane), upTo }];
      const entry = { columns: baseColumns, transactions, files: [], nowMs };
      await table.append(entryActions("telemetry", await table.refresh(), entry));
    },
    /** Publishes after some commits without rows. */
    publish: async () => {
      for (let count = 0; count < 4; count++) await commit();
      nowMs += monthMs;
      await publisher.publishPending();
      return (await log.load()).firstKept;
    },
  };
}

test("an entry is kept until its landed rows are in their table, and then the log says so", async () => {
  const lake = await openLake();
  await lake.commit();
  await lake.commit("even");
  assert.equal(await lake.publish(), 1);
  await lake.settle("even", 2);
  assert.ok((await lake.publish()) > 2);
  assert.deepEqual((await lake.log.load()).tables.get("topic-1")?.settled, { ...noCommits, even: 2 });
});

test("each lane of a table holds the log on its own", async () => {
  const lake = await openLake();
  await lake.commit("odd");
  await lake.commit("late");
  await lake.settle("odd", 2);
  assert.equal(await lake.publish(), 1);
  await lake.settle("late", 1);
  assert.ok((await lake.publish()) <= 2);
  await lake.settle("late", 2);
  assert.ok((await lake.publish()) > 2);
});

test("a table that settled nothing for long holds no entries that were given up before its rows came", async () => {
  const lake = await openLake();
  const firstKept = await lake.publish();
  assert.ok(firstKept > 1);
  await lake.commit("even");
  const landed = (await lake.log.load()).number;
  assert.equal(await lake.publish(), firstKept);
  await lake.settle("even", landed);
  assert.ok((await lake.publish()) > landed);
});
