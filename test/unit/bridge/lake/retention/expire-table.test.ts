import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import { noCommits } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import type { MetaDataAction } from "../../../../../bridge/lake/delta/delta-actions.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { retentionId, settledLanes } from "../../../../../bridge/lake/delta/lane-transactions.ts";
import {
  type ExpirePorts,
  expireTable,
  type TableToExpire,
} from "../../../../../bridge/lake/retention/expire-table.ts";
import type { ExpiredFile } from "../../../../../bridge/lake/retention/expired-files.ts";
import { baseColumns } from "../../../../../bridge/topics/table-columns.ts";
import { addOf, committedHour, RetainedLake } from "../../../../support/retained-lake.ts";
import { withStore } from "../../../../support/with-store.ts";

const storeMs = Date.now();
const columns = [...baseColumns, { name: "level", type: "long" as const }];

type Options = Partial<TableToExpire & ExpirePorts & { signal: AbortSignal }>;

async function expire(lake: RetainedLake, belowHour: number, options: Options = {}) {
  const removed: ExpiredFile[] = [];
  const { lakeId } = await openCommitLog(lake.lake.store, { create: false });
  const { store = lake.lake.store, signal = new AbortController().signal, ...more } = options;
  const outcome = await expireTable(
    { store, onRemoved: (files) => removed.push(...files), ...more },
    { table: lake.openTable(store), columns, settled: noCommits, lakeId, belowHour, storeMs, ...more },
    signal,
  );
  return { outcome, removed: removed.length, appId: retentionId(lakeId), lakeId };
}

async function lakeOf(...hours: readonly number[]): Promise<RetainedLake> {
  const lake = await RetainedLake.open();
  if (hours.length > 0) await lake.add(...hours.map((hour) => committedHour + hour));
  return lake;
}

test("one entry removes the files of whole hours below the bound, and says the bound", async () => {
  const lake = await lakeOf(-3, -2, -2, 1);
  const { outcome, removed, appId, lakeId } = await expire(lake, committedHour);
  assert.deepEqual([outcome, removed], ["done", 3]);
  assert.deepEqual(await lake.hours(), [0, 1]);
  const [entry] = lake.entries();
  assert.deepEqual(entry?.txns, [{ appId, version: committedHour, lastUpdated: storeMs }]);
  const add = addOf(`h${committedHour - 3}n0`, committedHour - 3);
  const { path, partitionValues, size } = add;
  const common = { deletionTimestamp: storeMs, dataChange: true, extendedFileMetadata: true };
  assert.deepEqual(entry?.removes[0], { path, ...common, partitionValues, size });
  const info = lake.lake.entries().flat().at(-5)?.commitInfo as {
    operation: string;
    operationMetrics: object;
  };
  assert.equal(info.operation, "DELETE");
  const metrics = { numRemovedFiles: "3", numRemovedBytes: "30", numDeletedRows: "9" };
  assert.deepEqual(info.operationMetrics, metrics);
  const { txns } = await lake.openTable().refresh();
  assert.equal(settledLanes(txns, lakeId).direct, 1, "no lane");
});

test("a table without such files gets no version, nor does one that does not exist", async () => {
  const lake = await lakeOf(1);
  const versions = lake.lake.entries().length;
  assert.equal((await expire(lake, committedHour)).removed, 0);
  assert.equal(lake.lake.entries().length, versions);
  const table = new DeltaTable(lake.lake.store, "nothing");
  assert.equal((await expire(lake, committedHour + 9, { table })).outcome, "done");
});

test("the bound of the table's log never falls, and survives checkpoints", async () => {
  const lake = await lakeOf(-9, -5);
  await expire(lake, committedHour - 5);
  await lake.checkpoint();
  await lake.add(committedHour - 20);
  const { appId } = await expire(lake, committedHour - 10);
  assert.deepEqual(await lake.hours(), [-5, 0]);
  assert.equal((await lake.openTable().refresh()).txns.get(appId)?.version, committedHour - 5);
});

test("late rows of a removed hour are removed by the next call", async () => {
  const lake = await lakeOf(-3);
  await expire(lake, committedHour);
  await lake.add(committedHour - 3);
  assert.deepEqual(await lake.hours(), [-3, 0]);
  assert.equal((await expire(lake, committedHour)).removed, 1);
  assert.deepEqual(await lake.hours(), [0]);
});

test("files in the checkpoint and in later entries are found, and partitions that are no hours stay", async () => {
  const lake = await lakeOf(-3);
  await lake.lake.foreign(
    ...[{ event_date: null, event_hour: "1" }, { event_date: "2026-11-20", event_hour: "24" }, {}].map(
      (partitionValues, at) => ({ add: addOf(`odd${at}`, committedHour - 50, { partitionValues }) }),
    ),
  );
  await lake.checkpoint();
  await lake.add(committedHour - 4);
  assert.equal((await expire(lake, committedHour + 1)).removed, 3);
  assert.equal((await lake.hours()).length, 3);
});

describe("entries are bounded", () => {
  test("they have whole hours as far as they fit; an hour with more files has several", async () => {
    const lake = await lakeOf(-9, -8, -8, -7, -6, -6, -6, -6, -6, -5);
    const { outcome, removed } = await expire(lake, committedHour, { removesMax: 3 });
    assert.deepEqual([outcome, removed], ["done", 10]);
    const hoursOf = ({ removes }: { removes: readonly { path: string }[] }) =>
      removes.map(({ path }) => Number(/h(\d+)n/.exec(path)?.[1]) - committedHour);
    assert.deepEqual(lake.entries().map(hoursOf), [[-9, -8, -8], [-7], [-6, -6, -6], [-6, -6, -5]]);
  });

  test("a call removes the oldest hours, and says that there are more", async () => {
    const lake = await lakeOf(-5, -9, -7, -8, -7, -6);
    const options = { filesMax: 3, removesMax: 2 };
    assert.deepEqual((await expire(lake, committedHour, options)).outcome, "more");
    assert.deepEqual(await lake.hours(), [-7, -7, -6, -5, 0]);
    assert.equal((await expire(lake, committedHour, options)).outcome, "more");
    assert.deepEqual(await lake.hours(), [-5, 0]);
    assert.equal((await expire(lake, committedHour, options)).outcome, "done");
    assert.deepEqual(await lake.hours(), [0]);
  });

  test("a call ends between two entries if it is told to, and what it removed stays removed", async () => {
    const lake = await lakeOf(-9, -8);
    const abort = new AbortController();
    const { signal } = abort;
    const onRemoved = () => abort.abort();
    await assert.rejects(expire(lake, committedHour, { removesMax: 1, signal, onRemoved }));
    assert.deepEqual(await lake.hours(), [-8, 0]);
  });
});

/** A store that does `meanwhile` before the first entry of the table is created. */
function before(lake: RetainedLake, meanwhile: () => Promise<unknown>) {
  let isFirst = true;
  return withStore(lake.lake.store, {
    putIfAbsent: async (path, bytes) => {
      if (isFirst && path.includes("_delta_log")) {
        isFirst = false;
        await meanwhile();
      }
      return lake.lake.store.putIfAbsent(path, bytes);
    },
  });
}

describe("another writer's entry comes first", () => {
  test("what it removed is left out, and what it added stays", async () => {
    const lake = await lakeOf(-3, -2);
    const gone = addOf(`h${committedHour - 3}n0`, committedHour - 3).path;
    const store = before(lake, () =>
      lake.lake.foreign(
        { remove: { path: gone, dataChange: true } },
        { add: addOf("new", committedHour - 1) },
      ),
    );
    let races = 0;
    const { removed } = await expire(lake, committedHour, { store, onLostRace: () => races++ });
    assert.deepEqual([removed, races], [1, 1]);
    assert.deepEqual(await lake.hours(), [-1, 0]);
  });

  test("if it removed all, there is no version", async () => {
    const lake = await lakeOf(-3);
    const { path } = addOf(`h${committedHour - 3}n0`, committedHour - 3);
    const store = before(lake, () => lake.lake.foreign({ remove: { path, dataChange: true } }));
    assert.equal((await expire(lake, committedHour, { store })).removed, 0);
    assert.equal(lake.entries().length, 1);
  });

  test("two processes remove each file once", async () => {
    const lake = await lakeOf(-5, -4, -3);
    const store = before(lake, () => expire(lake, committedHour, { removesMax: 2 }));
    await expire(lake, committedHour, { store });
    const removed = lake.entries().flatMap(({ removes }) => removes.map(({ path }) => path));
    assert.deepEqual([removed.length, new Set(removed).size], [3, 3]);
  });

  test("it replaced a deletion vector: the file is removed with the new one", async () => {
    const lake = await lakeOf();
    const add = addOf("vector", committedHour - 3);
    await lake.lake.foreign({ add });
    const deletionVector = { storageType: "i", pathOrInlineDv: "x", sizeInBytes: 1, cardinality: 1 };
    const store = before(lake, () => lake.lake.foreign({ add: { ...add, deletionVector } }));
    await expire(lake, committedHour, { store });
    assert.deepEqual(lake.entries()[0]?.removes[0]?.deletionVector, deletionVector);
  });

  test("it forbids removes: nothing is removed", async () => {
    const lake = await lakeOf(-3);
    const metaData = appendOnly(lake.lake.metaData());
    const store = before(lake, () => lake.lake.foreign({ metaData }));
    await assert.rejects(expire(lake, committedHour, { store }), { code: "TABLE_APPEND_ONLY" });
    assert.deepEqual(await lake.hours(), [-3, 0]);
  });

  test("a checkpoint while an entry lost its race ends the call, and the next one goes on", async () => {
    const lake = await lakeOf(-3);
    const store = before(lake, async () => {
      await lake.add(committedHour - 2);
      await lake.checkpoint();
    });
    const table = lake.openTable(store);
    const first = await expire(lake, committedHour, { store, table, onLostRace: () => table.startOver() });
    assert.deepEqual([first.outcome, first.removed], ["more", 0]);
    assert.equal((await expire(lake, committedHour)).removed, 2);
  });
});

function appendOnly(metaData: MetaDataAction): MetaDataAction {
  return { ...metaData, configuration: { "delta.appendOnly": "true" } };
}

describe("a table that forbids removes, or is parked, is left as it is", () => {
  const features = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ["rowTracking"] };
  const cases: readonly (readonly [string, (lake: RetainedLake) => Promise<void>, string])[] = [
    [
      "delta.appendOnly",
      (lake) => lake.lake.foreign({ metaData: appendOnly(lake.lake.metaData()) }),
      "TABLE_APPEND_ONLY",
    ],
    ["an unknown feature", (lake) => lake.lake.foreign({ protocol: features }), "TABLE_CONFLICT"],
    [
      "a CHECK constraint, for which the table is parked",
      (lake) => {
        const configuration = { "delta.constraints.c": "level > 0" };
        return lake.lake.foreign({ metaData: { ...lake.lake.metaData(), configuration } });
      },
      "TABLE_CONFLICT",
    ],
    [
      "other partitions",
      (lake) => lake.lake.foreign({ metaData: { ...lake.lake.metaData(), partitionColumns: [] } }),
      "TABLE_CONFLICT",
    ],
  ];
  for (const [name, change, code] of cases)
    test(name, async () => {
      const lake = await lakeOf(-3);
      await change(lake);
      await assert.rejects(expire(lake, committedHour), { code });
      assert.deepEqual(await lake.hours(), [-3, 0]);
    });

  test("its log was replaced by an older one", async () => {
    const lake = await lakeOf(-3);
    const settled = { ...noCommits, direct: 2 };
    await assert.rejects(expire(lake, committedHour, { settled }), { code: "LAKE_DAMAGED" });
    assert.deepEqual(await lake.hours(), [-3, 0]);
  });

  test("a change data feed and deletion vectors forbid nothing", async () => {
    const lake = await lakeOf(-3);
    const writerFeatures = ["changeDataFeed", "deletionVectors", "appendOnly"];
    const protocol = { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: [], writerFeatures };
    const configuration = { "delta.enableChangeDataFeed": "true", "delta.appendOnly": "false" };
    await lake.lake.foreign({ protocol }, { metaData: { ...lake.lake.metaData(), configuration } });
    assert.equal((await expire(lake, committedHour)).removed, 1);
  });
});
