import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runQuery } from "../../bridge/storage/parquet/run-query.ts";
import { appendEntry } from "../../gateway/prove/foreign-log.ts";
import { ForeignWriter } from "../../gateway/prove/foreign-writer.ts";
import { openLakeAccess } from "../../gateway/prove/lake-access.ts";
import { tableFaults } from "../../gateway/prove/strikes.ts";
import { deltaRsMissing, readWithDeltaRs } from "../support/delta-rs.ts";
import { makeRow, openTestLake } from "../support/test-lake.ts";

const skip = deltaRsMissing();
const folder = await mkdtemp(join(tmpdir(), "tidegate-access-"));
after(() => rm(folder, { recursive: true, force: true }));

test("a lake is reached past the gateways: what is there is never replaced", async () => {
  const lake = openLakeAccess({ kind: "file", folder: join(folder, "lake") });
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
});

test("a foreign writer appends, describes and rewrites, other readers agree, and we go on beside it", {
  skip,
}, async () => {
  const testLake = await openTestLake();
  const lake = openLakeAccess({ kind: "file", folder: testLake.folder });
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

test("a foreign writer that loses the race for an entry makes it again from what the winner left", async () => {
  const lake = openLakeAccess({ kind: "file", folder: join(folder, "race") });
  const entry = (version: number) => `t/_delta_log/${String(version).padStart(20, "0")}.json`;
  const added = (path: string) => ({
    add: { path, partitionValues: {}, size: 1, dataChange: true, modificationTime: 1 },
  });
  await lake.putIfAbsent(entry(0), Buffer.from(JSON.stringify({ metaData: { id: "x" } })));
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
  const lake = openLakeAccess({ kind: "file", folder: testLake.folder });
  try {
    for (let index = 0; index < 3; index++) await testLake.commit([{ row: makeRow(index) }]);
    let races = 3;
    const calls = { reads: new Map<string, number>(), copies: 0 };
    const contested = {
      ...{ list: lake.list.bind(lake), close: () => {} },
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
