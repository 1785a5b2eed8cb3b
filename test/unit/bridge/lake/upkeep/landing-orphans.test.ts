import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { WrittenBatch } from "../../../../../bridge/lake/batch-writer.ts";
import { openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import { createParquetBatchWriter } from "../../../../../bridge/lake/parquet/batch-writer.ts";
import { LandingOrphans } from "../../../../../bridge/lake/upkeep/landing-orphans.ts";
import { vacuumWork } from "../../../../../bridge/lake/upkeep/vacuum-work.ts";
import { VacuumedLake } from "../../../../support/landing-vacuum.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";
import { settleLanding } from "../../../../support/settle-landing.ts";
import { addRows, forgetCommits, makeRow, silentLogger, startMs } from "../../../../support/test-lake.ts";

const hourMs = 3_600_000;
let world: VacuumedLake;

beforeEach(async () => {
  world = await VacuumedLake.open();
});
afterEach(() => world.lake.close());

interface SlowBatch {
  readonly written: WrittenBatch;
  readonly filesSince: number;
  readonly path: string;
}

/** The landing file of a batch that is not committed yet. */
async function writeBatch(number: number): Promise<SlowBatch> {
  const { store, commitLog } = world.lake;
  const filesSince = (await commitLog.load()).number;
  const batch = createParquetBatchWriter({ store, directBytes: Number.POSITIVE_INFINITY });
  await addRows(batch, [{ row: makeRow(number) }]);
  const written = await batch.write();
  return { written, filesSince, path: written.landing?.file.path ?? assert.fail() };
}

async function commit({ written, filesSince }: SlowBatch, log = world.lake.commitLog): Promise<string> {
  const number = (await log.load()).number + 1;
  const { landing = assert.fail() } = written;
  const entry = {
    format: 1,
    number,
    commitId: randomUUID(),
    committedAtMs: 1,
    moves: {},
    tables: {},
  } as const;
  return (await log.append({ ...entry, landing, filesSince })).outcome;
}

async function isThere(path: string): Promise<boolean> {
  return (await world.lake.store.get(path)) !== null;
}

/** The first search is due an hour after the start. */
async function search(): Promise<void> {
  world.restart();
  world.pass(hourMs);
  await world.run();
}

async function sweep() {
  world.pass(hourMs);
  return world.run();
}

test("an old landing file that no commit names is deleted an hour after it was found, behind a fence; its batch commits nothing", async () => {
  const { lake } = world;
  const landed = await lake.land([{ row: makeRow(1) }]);
  const batch = await writeBatch(2);
  world.pass(23 * hourMs - 60_000, { elapsed: false });
  await search();
  assert.equal((await sweep()).orphans, 0, "it was too young");
  world.pass(24 * hourMs);
  const younger = await writeBatch(3);
  const time = new Date((await world.store.now()) - 1_000);
  utimesSync(join(lake.folder, younger.path), time, time);
  await world.run();
  assert.ok(await isThere(batch.path));
  world.pass(hourMs, { elapsed: false });
  assert.equal((await world.run()).orphans, 0);
  world.pass(hourMs, { store: false });
  const { orphans, fences, held, bytes } = await world.run();
  assert.deepEqual([orphans, fences, held, bytes], [1, 1, 1, batch.written.landing?.file.bytes]);
  assert.deepEqual([await isThere(batch.path), await world.there(landed)], [false, [landed]]);
  assert.equal(await commit(batch), "fenced");
  const another = await openCommitLog(lake.store, { create: false });
  assert.equal(await commit(batch, another), "fenced", "for a process that starts from there as well");
  assert.deepEqual([await isThere(younger.path), await commit(await writeBatch(4))], [true, "committed"]);
});

test("a file stays if its batch is committed after the search, however old the clock says it is", async () => {
  await world.lake.land([{ row: makeRow(1) }]);
  const batch = await writeBatch(2);
  world.pass(25 * hourMs, { elapsed: false });
  await search();
  assert.equal(await commit(batch), "committed");
  const { orphans, fences } = await sweep();
  assert.deepEqual([orphans, fences, await isThere(batch.path)], [0, 1, true]);
});

test("nothing is swept if an entry since the search is given up, because its file may just have been settled", async () => {
  const { lake } = world;
  await settleLanding(lake, await lake.land([{ row: makeRow(1) }]));
  const batch = await writeBatch(2);
  world.pass(25 * hourMs, { elapsed: false });
  await search();
  assert.equal(await commit(batch), "committed");
  await settleLanding(lake, 2);
  await forgetCommits(lake);
  assert.equal((await sweep()).orphans, 0);
  assert.ok(await isThere(batch.path));
});

test("the file of an entry that was settled and given up since the last run stays for the hour of the readers", async () => {
  const { lake } = world;
  const { path } =
    (await lake.commitLog.entry(await lake.land([{ row: makeRow(1) }])))?.landing?.file ?? assert.fail();
  await search();
  world.pass(25 * hourMs);
  await settleLanding(lake, 1);
  await forgetCommits(lake);
  await world.run();
  world.pass(hourMs - 1_000);
  assert.deepEqual([(await world.run()).orphans, await isThere(path)], [0, true]);
  world.pass(2_000);
  assert.deepEqual([(await world.run()).orphans, await isThere(path)], [1, false]);
});

test("a bounded number of unnamed files is in memory at a time; the others are found by the next search", async () => {
  const store = new MemoryObjectStore({ now: () => hourMs });
  const commitLog = await openCommitLog(store, { create: true });
  const path = () => `_landing/${randomUUID()}.parquet`;
  for (let file = 0; file < 10_003; file++)
    store.objects.set(path(), { bytes: Buffer.of(1), modifiedAtMs: -1 });
  const orphans = new LandingOrphans({ store, commitLog, ageMs: hourMs, readersMs: 5, now: Date.now });
  const { signal } = new AbortController();
  const clocks = (ms: number) => ({ storeMs: hourMs + ms, elapsedMs: ms });
  assert.equal(await orphans.search(await commitLog.load(), clocks(0), signal), false);
  assert.deepEqual(await orphans.sweep(clocks(5), signal), { files: 10_000, bytes: 10_000, fences: 1 });
  assert.equal(await orphans.search(await commitLog.load(), clocks(6), signal), true);
  assert.deepEqual(await orphans.sweep(clocks(11), signal), { files: 3, bytes: 3, fences: 1 });
});

test("the work vacuums the landing files each 10 min and the tables each interval; one that fails does not stop the other", async () => {
  const { lake, store, registry } = world;
  let elapsedMs = 7;
  const failing = { isFailing: false };
  const work = vacuumWork({
    ...{ commitLog: lake.commitLog, logger: silentLogger, registry, ageMs: hourMs, intervalMs: 24 * hourMs },
    store: {
      ...store,
      removeLeftovers: async () => {
        if (failing.isFailing) throw new Error("no disk");
        return 0;
      },
    },
    now: Date.now,
    elapsedMs: () => elapsedMs,
  });
  const landed = await lake.land([{ row: makeRow(1) }]);
  await settleLanding(lake, landed);
  await world.moveTo(startMs + 24 * hourMs);
  const { signal } = new AbortController();
  assert.equal(work.dueAtMs() - elapsedMs, hourMs / 6);
  for (let run = 0; run < 5; run++) {
    elapsedMs = work.dueAtMs();
    await work.run(signal);
  }
  failing.isFailing = true;
  elapsedMs = work.dueAtMs();
  await assert.rejects(work.run(signal), /no disk/);
  world.pass(hourMs);
  elapsedMs += hourMs / 6;
  await assert.rejects(work.run(signal), /no disk/);
  assert.deepEqual(await world.there(landed), []);
  failing.isFailing = false;
  await work.run(signal);
  assert.equal(work.dueAtMs() - elapsedMs, hourMs / 6);
  const text = await registry.metrics();
  assert.match(text, /tidegate_vacuum_landing_deleted_files_total\{cause="settled"\} 1/);
  assert.match(text, /tidegate_vacuum_landing_deleted_bytes_total\{cause="settled"\} [1-9]/);
  assert.match(text, /tidegate_vacuum_runs_total 1/);
});
