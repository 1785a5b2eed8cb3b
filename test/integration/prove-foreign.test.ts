import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runQuery } from "../../bridge/lake/query/run-query.ts";
import { ForeignCompaction } from "../../simulator/prove/foreign/foreign-compaction.ts";
import { appendEntry } from "../../simulator/prove/foreign/foreign-log.ts";
import { ForeignWriter } from "../../simulator/prove/foreign/foreign-writer.ts";
import { UnfitTable } from "../../simulator/prove/foreign/unfit-table.ts";
import { openLakeAccess } from "../../simulator/prove/lake-access.ts";
import { parkingFaults, tableFaults } from "../../simulator/prove/strike.ts";
import type { StatusView } from "../../simulator/prove/under-test/gateway-under-test.ts";
import { deltaRsMissing, readWithDeltaRs } from "../support/delta-rs.ts";
import { makeRow, openTestLake, type TestLake } from "../support/test-lake.ts";

const skip = deltaRsMissing();
const folder = await mkdtemp(join(tmpdir(), "tidegate-access-"));
after(() => rm(folder, { recursive: true, force: true }));

test("outside the gateways, writes to a lake never replace existing files", async () => {
  const lake = openLakeAccess(`file:${join(folder, "lake")}`);
  assert.deepEqual(await lake.list(""), []);
  assert.equal(await lake.putIfAbsent("a/b/1", Buffer.from("first")), true);
  assert.equal(await lake.putIfAbsent("a/b/1", Buffer.from("second")), false);
  assert.equal(await lake.putIfAbsent("a/c", Buffer.from("c")), true);
  await writeFile(join(folder, "lake", "d"), "d");
  assert.equal((await lake.get("a/b/1"))?.toString(), "first");
  assert.equal(await lake.get("a/b/2"), null);
  assert.deepEqual(await lake.list(""), ["a/b/1", "a/c", "d"]);
  assert.deepEqual(await lake.list("a/b"), ["a/b/1"]);
  assert.deepEqual(await lake.list("", 1), ["a/b/1"]);
  for (const path of ["a/c", "a/c", "d"]) await lake.delete(path);
  assert.deepEqual(await lake.list(""), ["a/b/1"]);
});

test("a foreign writer appends, describes and rewrites; other readers see the same table, and the gateway continues", {
  skip,
}, async () => {
  const testLake = await openTestLake();
  const lake = openLakeAccess(`file:${testLake.folder}`);
  const writer = new ForeignWriter({ lake, tables: ["nowhere", "telemetry"] });
  const table = join(testLake.folder, "telemetry");
  try {
    for (let index = 0; index < 6; index++) {
      await testLake.commit([{ row: makeRow(index) }]);
      const fault = tableFaults[index % 3] ?? assert.fail();
      const effect = await writer.strike({ fault });
      assert.match(effect?.detail ?? "", /of telemetry$/);
      assert.equal(effect?.isInFlight, undefined);
    }
    await testLake.commit([{ row: makeRow(6) }]);
    const counts = await runQuery(
      "SELECT count(*), count(*) FILTER (device_id = 'foreign-device'), count(DISTINCT message_id) FROM telemetry",
      { store: testLake.store },
    );
    assert.deepEqual(counts.rows, [[9, 2, 7]]);
    const view = readWithDeltaRs(table);
    assert.deepEqual([view.rows, view.version], [9, 12]);
    assert.ok((await lake.list("telemetry/")).some((path) => path.includes("foreign-")));
  } finally {
    await testLake.close();
  }
});

test("a foreign writer that loses the race for an entry builds its entry again from the winner's", async () => {
  const lake = openLakeAccess(`file:${join(folder, "race")}`);
  const entry = (version: number) => `t/_delta_log/${String(version).padStart(20, "0")}.json`;
  const added = (path: string) => ({
    add: { path, partitionValues: {}, size: 1, dataChange: true, modificationTime: 1 },
  });
  const protocol = { minReaderVersion: 1, minWriterVersion: 2 };
  await lake.putIfAbsent(entry(0), Buffer.from(JSON.stringify({ metaData: { id: "x" }, protocol })));
  const seen: (readonly string[])[] = [];
  const version = await appendEntry(lake, "t", async (log) => {
    seen.push(log.files.map(({ path }) => path));
    if (seen.length === 1) await lake.putIfAbsent(entry(1), Buffer.from(JSON.stringify(added("winner"))));
    return [added("loser")];
  });
  assert.equal(version, 2);
  assert.deepEqual(seen, [[], ["winner"]]);
  assert.equal(await appendEntry(lake, "nothing", async () => []), null);
});

test("a foreign writer that loses races reads only the winners' entries, and copies no file twice", async () => {
  const testLake = await openTestLake();
  const lake = openLakeAccess(`file:${testLake.folder}`);
  try {
    for (let index = 0; index < 3; index++) await testLake.commit([{ row: makeRow(index) }]);
    let races = 3;
    const calls = { reads: new Map<string, number>(), copies: 0 };
    const contested = {
      ...{ list: lake.list.bind(lake), delete: lake.delete.bind(lake), close: () => {} },
      get: (path: string) => {
        calls.reads.set(path, (calls.reads.get(path) ?? 0) + 1);
        return lake.get(path);
      },
      putIfAbsent: async (path: string, bytes: Uint8Array) => {
        if (path.endsWith(".parquet")) calls.copies++;
        else if (races-- > 0) await lake.putIfAbsent(path, Buffer.from('{"commitInfo":{}}\n'));
        return lake.putIfAbsent(path, bytes);
      },
    };
    const writer = new ForeignWriter({ lake: contested, tables: ["telemetry"] });
    assert.deepEqual(await writer.strike({ fault: "foreign-rewrite" }), { detail: "version 6 of telemetry" });
    assert.deepEqual([Math.max(...calls.reads.values()), calls.copies], [1, 3]);
    races = 3;
    await writer.strike({ fault: "foreign-append" });
    assert.equal(calls.copies, 4);
  } finally {
    await testLake.close();
  }
});

/** The status of a gateway whose consumer publishes to the lake. */
function gatewayOf({ publisher }: TestLake, change: (wayOut: string) => string = (wayOut) => wayOut) {
  const parked = () =>
    publisher.troubles().parked.map(({ table, wayOut }) => ({ table, wayOut: change(wayOut) }));
  const consumer = () => ({
    ...{ publishesRepaired: 0, replayedBatches: 0, partitions: [], window: null },
    tables: { parked: parked() },
  });
  return {
    status: async (): Promise<StatusView> => ({
      broker: null,
      consumer: consumer(),
      upkeep: null,
      books: null,
    }),
  };
}

/**
 * Commits rows until `strike` is over. Resolves with the strike's result and the number of committed rows.
 */
async function whileCommitting<Result>(
  testLake: TestLake,
  { from, strike }: { from: number; strike: Promise<Result> },
): Promise<{ said: Result; rows: number }> {
  let isOver = false;
  const over = strike.finally(() => {
    isOver = true;
  });
  let rows = from;
  while (!isOver) {
    await testLake.commit([{ row: makeRow(rows++) }]);
    await testLake.publisher.publishPending();
  }
  return { said: await over, rows };
}

test("a table that another writer makes unfit is parked; the named command brings the table back with all rows", {
  skip,
}, async () => {
  const testLake = await openTestLake();
  const lake = openLakeAccess(`file:${testLake.folder}`);
  const unfit = new UnfitTable({ lake, tables: ["telemetry"], gateways: [gatewayOf(testLake)] });
  try {
    // The log is checkpointed and cleaned in between, so that the table's state is in a checkpoint.
    let rows = 25;
    for (let index = 0; index < rows; index++) await testLake.commit([{ row: makeRow(index) }]);
    for (const fault of parkingFaults) {
      const struck = await whileCommitting(testLake, {
        from: rows,
        strike: unfit.strike({ fault, pauseMs: 10 }),
      });
      assert.equal(struck.said.harm, undefined);
      assert.equal(struck.said.isInFlight, true);
      assert.match(struck.said.detail ?? "", /parked until t\.(alter\.drop_constraint|restore)\(/);
      rows = struck.rows;
    }
    assert.equal(readWithDeltaRs(join(testLake.folder, "telemetry")).rows, rows);
  } finally {
    await testLake.close();
  }
});

test("a way out that can't be used, or that names a missing thing, is reported", async () => {
  for (const [wayOut, harm] of [
    ["ask somebody", /names no way out for telemetry that can be taken: ask somebody/],
    ['t.alter.drop_constraint("other")', /names a constraint that telemetry does not have: other/],
    ["t.restore(900, protocol_downgrade_allowed=True)", /names a version that telemetry does not know: 900/],
  ] as const) {
    const testLake = await openTestLake();
    const lake = openLakeAccess(`file:${testLake.folder}`);
    const gateways = [gatewayOf(testLake, () => wayOut)];
    const unfit = new UnfitTable({ lake, tables: ["telemetry"], gateways });
    await testLake.commit([{ row: makeRow(0) }]);
    const strike = unfit.strike({ fault: "foreign-constraint", pauseMs: 0 });
    const { said } = await whileCommitting(testLake, { from: 1, strike });
    assert.match(said.harm ?? "", harm);
    await testLake.close();
  }
});

test("small files are merged and deleted: other readers see the same rows, and a table without small files is skipped", {
  skip,
}, async () => {
  const testLake = await openTestLake();
  const lake = openLakeAccess(`file:${testLake.folder}`);
  const compaction = new ForeignCompaction({ lake, tables: ["nowhere", "telemetry"] });
  const sum = () =>
    runQuery(
      "SELECT count(*), count(DISTINCT message_id), sum(payload_crc), max(event_time) FROM telemetry",
      {
        store: testLake.store,
      },
    );
  const files = async () => (await lake.list("telemetry/event_date")).length;
  try {
    for (let index = 0; index < 7; index++) await testLake.commit([{ row: makeRow(index) }]);
    const before = await sum();
    assert.equal(await files(), 7);
    const said = await compaction.strike({ pauseMs: 0 });
    assert.equal(said.detail, "7 files of telemetry became one and were deleted");
    assert.equal(await files(), 1);
    assert.deepEqual((await sum()).rows, before.rows);
    await testLake.commit([{ row: makeRow(7) }]);
    assert.equal(readWithDeltaRs(join(testLake.folder, "telemetry")).rows, 8);
    await compaction.strike({ pauseMs: 0 });
    assert.equal(readWithDeltaRs(join(testLake.folder, "telemetry")).rows, 8);
  } finally {
    await testLake.close();
  }
});
