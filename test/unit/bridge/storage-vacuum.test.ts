import assert from "node:assert/strict";
import { existsSync, mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { type VacuumOptions, vacuum } from "../../../bridge/storage/vacuum.ts";
import {
  forgetCommits,
  makeRow,
  makeTopic,
  openTestLake,
  silentLogger,
  type TestLake,
} from "../../support/test-lake.ts";

const hourMs = 3_600_000;
const folder = "event_date=2026-11-22/event_hour=10";

/** Puts a data file into a table's folder as a batch does that is never committed. */
function putFile(lake: TestLake, table: string, name: string, ageMs: number): string {
  const path = join(lake.folder, table, folder, `${name}.parquet`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "12345");
  age(path, ageMs);
  return path;
}

function age(path: string, ageMs: number): void {
  const time = new Date(Date.now() - ageMs);
  utimesSync(path, time, time);
}

async function committedPath(lake: TestLake, number: number): Promise<string> {
  const add = (await lake.commitLog.entry(number))?.tables["topic-1"]?.adds[0];
  const path = join(lake.folder, "telemetry", add?.path ?? assert.fail());
  age(path, 48 * hourMs);
  return path;
}

async function withLake(
  work: (
    lake: TestLake,
    run: (options?: Partial<VacuumOptions>) => ReturnType<typeof vacuum>,
  ) => Promise<void>,
) {
  const lake = await openTestLake([makeTopic(), makeTopic({ topicId: "unused", name: "unused" })]);
  const { store, commitLog, topics } = lake;
  try {
    await work(lake, (options) => vacuum({ store, commitLog, topics, logger: silentLogger, ...options }));
  } finally {
    await lake.close();
  }
}

test("old files that no commit took go, in every topic's folder; young ones and committed ones stay", () =>
  withLake(async (lake, run) => {
    await lake.commit([{ row: makeRow(1) }]);
    await lake.commit([{ row: makeRow(2) }], { publish: false });
    const committed = [await committedPath(lake, 1), await committedPath(lake, 2)];
    const orphans = [
      putFile(lake, "telemetry", "old", 25 * hourMs),
      putFile(lake, "_quarantine", "old", 25 * hourMs),
      putFile(lake, "unused", "old", 25 * hourMs),
    ];
    const young = putFile(lake, "telemetry", "young", 23 * hourMs);
    assert.deepEqual(await run({ isDryRun: true }), { files: 6, orphans: 3, orphanBytes: 15 });
    assert.ok(orphans.every(existsSync));
    assert.deepEqual(await run(), { files: 6, orphans: 3, orphanBytes: 15 });
    assert.ok(!orphans.some(existsSync));
    assert.ok([...committed, young].every(existsSync));
    assert.deepEqual(await lake.openPublisher().publishPending(), { published: 1 });
    assert.deepEqual(await run({ olderThanMs: 72 * hourMs }), { files: 3, orphans: 0, orphanBytes: 0 });
  }));

test("files that a table replaced stay while a commit entry names them, and while seeding may want them", () =>
  withLake(async (lake, run) => {
    await lake.commit([{ row: makeRow(1) }]);
    const path = await committedPath(lake, 1);
    const relative = path.slice(join(lake.folder, "telemetry").length + 1);
    const remove = (deletionTimestamp: number) =>
      lake.store.put(
        "telemetry/_delta_log/00000000000000000001.json",
        Buffer.from(JSON.stringify({ remove: { path: relative, deletionTimestamp, dataChange: false } })),
      );
    await remove(1);
    assert.equal((await run()).orphans, 0);
    await forgetCommits(lake);
    await remove(Date.now() - 7 * 24 * hourMs);
    assert.equal((await run()).orphans, 0);
    assert.ok(existsSync(path));
    await remove(Date.now() - 8 * 24 * hourMs - 1);
    assert.equal((await run()).orphans, 1);
    assert.equal(existsSync(path), false);
  }));

test("less than 24 h is VACUUM_TOO_SOON: an open batch may still commit its files", () =>
  withLake(async (_lake, run) => {
    for (const olderThanMs of [0, 24 * hourMs - 1, Number.NaN])
      await assert.rejects(run({ olderThanMs }), { code: "VACUUM_TOO_SOON" });
  }));
