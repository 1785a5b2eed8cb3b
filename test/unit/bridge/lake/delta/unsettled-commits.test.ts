import assert from "node:assert/strict";
import { test } from "node:test";
import { appendUpkeep } from "../../../../../bridge/lake/commit-log/append-upkeep.ts";
import { type LakeCommitLog, openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import type { LandedTable } from "../../../../../bridge/lake/commit-log/landed-file.ts";
import { noCommits } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { createCommittedEntries } from "../../../../../bridge/lake/commit-log/log-entries.ts";
import { lackingCommits } from "../../../../../bridge/lake/delta/lacking-commits.ts";
import { UnsettledCommits } from "../../../../../bridge/lake/delta/unsettled-commits.ts";
import { anAdd, fill, makeEntry } from "../../../../contract/commit-log-contract.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";

/** A lake in memory whose log takes a snapshot each four entries. */
async function openLake() {
  const store = new MemoryObjectStore();
  const log = await openCommitLog(store, { create: true, entriesPerSnapshot: 4 });
  return { store, log };
}

/** A commit that brings a file, named after its number, to each of these tables. */
async function commit(log: LakeCommitLog, ...tables: string[]): Promise<number> {
  const number = (await log.load()).number + 1;
  const adds = [{ ...anAdd, path: `event_date=2026-01-02/event_hour=3/${number}.parquet` }];
  const files = tables.map((name) => [`id-${name}`, { name, version: 1, adds }]);
  await log.append(makeEntry(number, { tables: Object.fromEntries(files) }));
  return number;
}

/** Another process. */
async function openReader(store: MemoryObjectStore) {
  const commitLog = await openCommitLog(store, { create: false });
  const entries = createCommittedEntries({ store, commitLog });
  const unsettled = new UnsettledCommits(store, entries);
  return {
    unsettled,
    lacking: async (table: string, shown: number) => {
      const { number, tables } = await commitLog.load();
      await unsettled.readTo(number);
      const target = tables.get(`id-${table}`)?.last.direct ?? 0;
      const { files, ...rest } = await lackingCommits(
        { entries, unsettled },
        { table, shown, target, from: 0 },
      );
      return { ...rest, files: files.map(({ path }) => Number(/(\d+)\.parquet/.exec(path)?.[1])) };
    },
  };
}

const bounded = (bounds: Record<string, number>) =>
  new Map(Object.entries(bounds).map(([table, direct]) => [`id-${table}`, { ...noCommits, direct }]));

test("commits that brought files to a table are known by table, in order, until the table shows them", async () => {
  const { store, log } = await openLake();
  await commit(log, "a");
  await commit(log, "b");
  await commit(log, "a", "b");
  const { unsettled } = await openReader(store);
  await unsettled.readTo(3);
  const after = (table: string, shown: number) => {
    const commits = unsettled.after(table, "direct", shown);
    return commits && [...commits];
  };
  assert.deepEqual([after("a", 0), after("b", 2), after("c", 0)], [[1, 3], [3], []]);
  unsettled.shown("a", "direct", 2);
  assert.deepEqual([after("a", 1), after("a", 0)], [[3], null]);
  await commit(log, "a");
  await unsettled.readTo(4);
  assert.deepEqual(after("a", 1), [3, 4]);
});

test("a process begins at the newest snapshot, which tells whether a table lacks anything older", async () => {
  const { store, log } = await openLake();
  for (const table of ["quiet", "busy", "busy", "busy"]) await commit(log, table);
  await log.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
  await commit(log, "quiet");
  const reader = await openReader(store);
  assert.deepEqual(await reader.lacking("quiet", 1), { first: 5, upTo: 5, files: [5] });
  assert.equal(reader.unsettled.after("quiet", "direct", 0), null);
  assert.deepEqual([...(reader.unsettled.after("busy", "direct", 4) ?? [])], []);
});

test("a table that lacks commits from before the snapshot gets them from the kept entries", async () => {
  const { store, log } = await openLake();
  for (const table of ["a", "b", "a", "b", "b"]) await commit(log, table);
  await log.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
  await commit(log, "a");
  const { lacking } = await openReader(store);
  assert.deepEqual(await lacking("a", 0), { first: 1, upTo: 6, files: [1, 3, 6] });
  assert.deepEqual(await lacking("a", 1), { first: 3, upTo: 6, files: [3, 6] });
});

test("a table that shows its bound lacks none of the entries that were given up, one that shows less is refused", async () => {
  const { store, log } = await openLake();
  for (const table of ["old", "late", "b", "b", "b", "b", "late", "b"]) await commit(log, table);
  await log.maintain({ publishedUpTo: 4, settled: bounded({ old: 1, late: 2, b: 4 }), retainMs: -1 });
  await commit(log, "old", "late");
  const { lacking } = await openReader(store);
  assert.equal((await log.load()).firstKept, 5);
  assert.deepEqual(await lacking("late", 2), { first: 7, upTo: 10, files: [7, 10] });
  assert.deepEqual(await lacking("old", 1), { first: 10, upTo: 10, files: [10] });
  await assert.rejects(lacking("old", 0), { code: "LAKE_DAMAGED" });
  await assert.rejects(lacking("late", 1), { code: "LAKE_DAMAGED" });
});

test("entries that were given up before a snapshot says so are left out", async () => {
  const { store, log } = await openLake();
  for (const table of ["a", "b", "a", "a"]) await commit(log, table);
  await appendUpkeep(log, { firstKept: 3, settled: Object.fromEntries(bounded({ a: 1, b: 2 })) }, 1);
  const { lacking } = await openReader(store);
  assert.deepEqual(await lacking("a", 1), { first: 3, upTo: 4, files: [3, 4] });
  await assert.rejects(lacking("a", 0), { code: "LAKE_DAMAGED" });
  await fill(log, 1);
  assert.deepEqual(await lacking("a", 3), { first: 4, upTo: 4, files: [4] });
});

type Landed = Readonly<Record<string, LandedTable["rows"]>>;

/** A commit with a landing file of 1,000 bytes, 10 bytes a row uncompressed. By topic: rows by lane. */
async function land(log: LakeCommitLog, topics: Landed): Promise<number> {
  const number = (await log.load()).number + 1;
  const tables = Object.fromEntries(
    Object.entries(topics).map(([topic, rows]) => [
      `id-${topic}`,
      // Topic `a2` has the name of topic `a`.
      { name: topic.slice(0, 1), version: 1, rows },
    ]),
  );
  const counts = Object.values(topics).flatMap((rows) => Object.values(rows));
  const size = 10 * counts.reduce((sum, count) => sum + count, 0);
  const file = {
    path: `_landing/${number}.parquet`,
    bytes: 1_000,
    size,
    minStreamMs: 0,
    maxStreamMs: number,
  };
  const landing = { file, tables };
  await log.append(makeEntry(number, { landing, committedAtMs: number * 100 }));
  return number;
}

test("landed rows wait by lane; topics of one name share a table", async () => {
  const { store, log } = await openLake();
  await land(log, { a: { even: 5, late: 1 }, b: { odd: 4 } });
  await land(log, { a: { even: 2 }, a2: { even: 3, odd: 1 } });
  await commit(log, "a");
  const { unsettled } = await openReader(store);
  await unsettled.readTo(3);
  const even = { first: 1, firstMs: 100, rows: 10, size: 100, landingBytes: 2_000, entries: 3 };
  assert.deepEqual(unsettled.waiting("a", "even", 0), even);
  const second = { first: 2, firstMs: 200, rows: 5, size: 50, landingBytes: 1_000, entries: 2 };
  assert.deepEqual(unsettled.waiting("a", "even", 1), second);
  assert.deepEqual([...unsettled.candidates("a", "odd", 0)], [2]);
  assert.deepEqual([...unsettled.candidates("a", "late", 0)], [1]);
  assert.deepEqual([...unsettled.candidates("a", "direct", 0)], [3]);
  assert.equal(unsettled.waiting("a", "late", 1), null);
  assert.equal(unsettled.waiting("b", "even", 0), null);
  unsettled.shown("a", "even", 2);
  assert.equal(unsettled.waiting("a", "even", 2), null);
  assert.equal(unsettled.waiting("a", "odd", 0)?.rows, 1);
});

test("what a process did not read waits at an unknown time, up to the last commit of the lane", async () => {
  const { store, log } = await openLake();
  await land(log, { a: { even: 5 }, b: { even: 1 } });
  await land(log, { b: { even: 1 } });
  await land(log, { a: { even: 5 }, b: { even: 1 } });
  await land(log, { b: { even: 1 } });
  await log.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
  await land(log, { a: { even: 7 } });
  const { unsettled } = await openReader(store);
  await unsettled.readTo(5);
  assert.deepEqual([...unsettled.candidates("a", "even", 0)], [1, 2, 3, 5]);
  assert.deepEqual(unsettled.waiting("a", "even", 1), {
    first: 2,
    firstMs: null,
    rows: 7,
    size: 70,
    landingBytes: 1_000,
    entries: 4,
  });
  assert.deepEqual([...unsettled.candidates("a", "even", 3)], [5]);
  assert.equal(unsettled.waiting("a", "even", 3)?.firstMs, 500);
  assert.equal(unsettled.waiting("b", "even", 4), null);
  assert.equal(unsettled.after("a", "even", 1), null);
});
