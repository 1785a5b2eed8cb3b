import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import type { CommitLog } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import type { ObjectStore } from "../../../../../bridge/lake/stores/object-store.ts";
import { type VacuumOptions, vacuum } from "../../../../../bridge/lake/upkeep/vacuum.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";
import { S3TestServer } from "../../../../support/s3-server.ts";
import { openTestStore, patientS3Config } from "../../../../support/s3-store.ts";
import {
  addRows,
  forgetCommits,
  makeRow,
  makeTopic,
  openTestLake,
  silentLogger,
  type TestLake,
} from "../../../../support/test-lake.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const folder = "event_date=2026-11-22/event_hour=10";
const server = await S3TestServer.start();
after(() => server.close());

/** Puts a data file into a table's folder, as a batch does that is never committed. */
function putFile(lake: TestLake, table: string, ageMs: number, name: string = randomUUID()): string {
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
  const [path = assert.fail()] = await lake.filesOf(number, "topic-1");
  age(path, 2 * dayMs);
  return path;
}

type Run = (options?: Partial<VacuumOptions>) => ReturnType<typeof vacuum>;

async function withLake(
  work: (lake: TestLake, run: Run) => Promise<void>,
  openStore?: (folder: string) => Promise<ObjectStore>,
) {
  const topics = [makeTopic(), makeTopic({ topicId: "unused", name: "unused" })];
  const lake = await openTestLake(topics, openStore);
  const { store, commitLog } = lake;
  try {
    await work(lake, (options) =>
      vacuum({ store, commitLog, topics: lake.topics, logger: silentLogger, ...options }),
    );
  } finally {
    await lake.close();
  }
}

/** The files of a batch that is not committed yet, and the newest entry known before. */
async function writeBatch(lake: TestLake, number: number) {
  const filesSince = (await lake.commitLog.load()).number;
  await addRows(lake.batch, [{ row: makeRow(number) }]);
  const { tables } = await lake.batch.write();
  const [[, { adds }] = assert.fail()] = Object.entries(tables);
  return { tables, filesSince, path: `telemetry/${adds[0]?.path}` };
}

async function commitBatch(
  log: CommitLog,
  { tables, filesSince }: Pick<Awaited<ReturnType<typeof writeBatch>>, "tables" | "filesSince">,
): Promise<string> {
  const number = (await log.load()).number + 1;
  const entry = { format: 3, number, commitId: randomUUID(), committedAtMs: 1, moves: {} } as const;
  return (await log.append({ ...entry, tables, filesSince })).outcome;
}

test("old files without a commit are deleted, in every topic's folder; young ones and committed ones stay", () =>
  withLake(async (lake, run) => {
    await lake.commit([{ row: makeRow(1) }]);
    await lake.commit([{ row: makeRow(2) }], { publish: false });
    const committed = [await committedPath(lake, 1), await committedPath(lake, 2)];
    const orphans = ["telemetry", "_quarantine", "unused"].map((table) => putFile(lake, table, 25 * hourMs));
    const young = putFile(lake, "telemetry", 23 * hourMs);
    const found = { files: 6, orphans: 3, orphanBytes: 15 };
    assert.deepEqual(await run({ isDryRun: true }), { ...found, fences: 0 });
    assert.ok(orphans.every(existsSync));
    assert.equal((await lake.commitLog.load()).fence, 0);
    assert.deepEqual(await run(), { ...found, fences: 1 });
    assert.ok(!orphans.some(existsSync));
    assert.ok([...committed, young].every(existsSync));
    assert.deepEqual(await lake.openPublisher().publishPending(), { published: 1 });
    const nothing = { files: 3, orphans: 0, orphanBytes: 0, fences: 0 };
    assert.deepEqual(await run({ ageMs: 72 * hourMs }), nothing);
  }));

test("files that a table replaced stay while a commit entry names them, and while seeding may need them", () =>
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
    await remove(Date.now() - 7 * dayMs);
    assert.equal((await run()).orphans, 0);
    assert.ok(existsSync(path));
    await remove(Date.now() - 8 * dayMs - 1000);
    assert.equal((await run()).orphans, 1);
    assert.equal(existsSync(path), false);
  }));

test("files of other writers that no log names stay for 7 days", () =>
  withLake(async (lake, run) => {
    const name = `part-00000-${randomUUID()}-c000.snappy`;
    const waiting = putFile(lake, "telemetry", 6 * dayMs, name);
    const given = putFile(lake, "telemetry", 8 * dayMs, `part-00001-${randomUUID()}-c000.snappy`);
    assert.equal((await run()).orphans, 1);
    assert.deepEqual([waiting, given].map(existsSync), [true, false]);
  }));

test("change data of other writers stay, and whole tables with unreadable logs or unknown features; others are vacuumed", () =>
  withLake(async (lake, run) => {
    await lake.commit([{ row: makeRow(1) }]);
    const changeData = join(lake.folder, "telemetry", "_change_data", `cdc-${randomUUID()}.parquet`);
    mkdirSync(dirname(changeData), { recursive: true });
    writeFileSync(changeData, "12345");
    age(changeData, 30 * dayMs);
    const orphans = () => ["telemetry", "unused"].map((table) => putFile(lake, table, 30 * dayMs));
    const first = orphans();
    await run();
    assert.deepEqual([changeData, ...first].map(existsSync), [true, false, false]);
    const entry = "telemetry/_delta_log/00000000000000000001.json";
    for (const [features, isTidied] of [
      [["changeDataFeed"], true],
      [["rowTracking"], false],
      [[7], false],
      ["damaged", false],
    ] as const) {
      const protocol = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: features };
      await lake.store.put(entry, Buffer.from(features === "damaged" ? "{" : JSON.stringify({ protocol })));
      const left = orphans();
      await run();
      assert.deepEqual(left.map(existsSync), [!isTidied, false], JSON.stringify(features));
      for (const path of left) rmSync(path, { force: true });
    }
  }));

test("a file that a log names stays, however the log encodes its path", () =>
  withLake(async (lake, run) => {
    await lake.commit([{ row: makeRow(1) }]);
    const path = await committedPath(lake, 1);
    const relative = path.slice(join(lake.folder, "telemetry").length + 1);
    await forgetCommits(lake);
    const entry = "telemetry/_delta_log/00000000000000000000.json";
    const text = Buffer.from((await lake.store.get(entry)) ?? []).toString();
    await lake.store.put(entry, Buffer.from(text.replace(relative, relative.replaceAll("=", "%3D"))));
    assert.equal((await run()).orphans, 0);
    assert.ok(existsSync(path));
  }));

test("with a clock that is 25 h ahead, files of a batch that is under way stay", () =>
  withLake(async (lake, run) => {
    await lake.commit([{ row: makeRow(1) }]);
    const batch = await writeBatch(lake, 2);
    assert.equal((await run({ now: () => Date.now() + 25 * hourMs })).orphans, 0);
    assert.equal(await commitBatch(lake.commitLog, batch), "committed");
    assert.notEqual(await lake.store.get(batch.path), null);
  }));

test("with a server whose clock is 30 h behind, they stay as well", () =>
  withLake(
    async (lake, run) => {
      const batch = await writeBatch(lake, 1);
      assert.equal((await run()).orphans, 0);
      server.store.now = () => Date.now() - 5 * hourMs;
      assert.equal((await run()).orphans, 1);
      assert.equal(await lake.store.get(batch.path), null);
      server.store.now = Date.now;
    },
    (path) => {
      server.store.now = () => Date.now() - 30 * hourMs;
      return openTestStore(server, { folder: path, prefix: "skewed", config: patientS3Config });
    },
  ));

test("a batch whose files were deleted by vacuum commits none of them; written again, it is committed", () =>
  withLake(async (lake, run) => {
    await lake.commit([{ row: makeRow(1) }]);
    const batch = await writeBatch(lake, 2);
    age(join(lake.folder, batch.path), 25 * hourMs);
    assert.equal((await run()).orphans, 1);
    assert.equal(await lake.store.get(batch.path), null);
    const other = await openCommitLog(lake.store, { create: false });
    assert.equal(await commitBatch(lake.commitLog, batch), "fenced");
    assert.equal(await commitBatch(other, batch), "fenced", "for a process that starts from there as well");
    assert.equal(await commitBatch(lake.commitLog, await writeBatch(lake, 2)), "committed");
  }));

test("the fence is known after the log was pruned, and to processes that begin with a snapshot", () =>
  withLake(async (lake, run) => {
    const batch = await writeBatch(lake, 1);
    age(join(lake.folder, batch.path), 25 * hourMs);
    assert.equal((await run()).orphans, 1);
    await forgetCommits(lake);
    assert.equal(await commitBatch(await openCommitLog(lake.store, { create: false }), batch), "fenced");
  }));

/** A store whose next fence waits for `meanwhile`. */
function beforeFence(store: ObjectStore, meanwhile: () => Promise<unknown>): ObjectStore {
  let isNext = true;
  return Object.create(store, {
    ...Object.fromEntries(
      (["get", "put", "list", "delete", "now"] as const).map((name) => [
        name,
        { value: (store[name] as (...args: unknown[]) => unknown).bind(store) },
      ]),
    ),
    putIfAbsent: {
      value: async (path: string, bytes: Uint8Array) => {
        if (isNext && Buffer.from(bytes).includes('"fence"')) {
          isNext = false;
          await meanwhile();
        }
        return store.putIfAbsent(path, bytes);
      },
    },
  }) as ObjectStore;
}

test("a batch that is committed while vacuum is about to write its fence keeps its files", () =>
  withLake(async (lake, run) => {
    const batch = await writeBatch(lake, 1);
    age(join(lake.folder, batch.path), 25 * hourMs);
    const store = beforeFence(lake.store, () => commitBatch(lake.commitLog, batch));
    const commitLog = await openCommitLog(store, { create: false });
    assert.deepEqual(await run({ store, commitLog }), { files: 1, orphans: 0, orphanBytes: 0, fences: 1 });
    assert.notEqual(await lake.store.get(batch.path), null);
  }));

test("neither does it take them once only the table still names them", () =>
  withLake(async (lake, run) => {
    const batch = await writeBatch(lake, 1);
    age(join(lake.folder, batch.path), 25 * hourMs);
    const store = beforeFence(lake.store, async () => {
      await commitBatch(lake.commitLog, batch);
      await lake.publisher.publishPending();
      await forgetCommits(lake);
    });
    const commitLog = await openCommitLog(store, { create: false });
    assert.deepEqual(await run({ store, commitLog }), { files: 1, orphans: 0, orphanBytes: 0, fences: 1 });
    assert.notEqual(await lake.store.get(batch.path), null);
  }));

test("a bounded number of unnamed files is in memory at a time, however many there are", async () => {
  const store = new MemoryObjectStore({ now: () => dayMs });
  const commitLog = await openCommitLog(store, { create: true });
  const orphans = 25_000;
  for (let file = 0; file < orphans; file++)
    store.objects.set(`telemetry/${folder}/${randomUUID()}.parquet`, {
      bytes: Buffer.of(1),
      modifiedAtMs: -1,
    });
  const topics = { definitions: () => [{ ...makeTopic() }], longestWindowMs: () => 0 };
  const options = { store, commitLog, topics, logger: silentLogger };
  const report = await vacuum(options);
  assert.deepEqual(report, { files: orphans, orphans, orphanBytes: orphans, fences: 3 });
  assert.equal([...store.objects.keys()].filter((path) => path.endsWith(".parquet")).length, 0);
});
