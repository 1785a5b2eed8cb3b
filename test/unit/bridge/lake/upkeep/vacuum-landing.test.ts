import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";
import { appendUpkeep } from "../../../../../bridge/lake/commit-log/append-upkeep.ts";
import { noCommits } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { createCommittedRows } from "../../../../../bridge/lake/follow/followed-rows.ts";
import { otherTopic, VacuumedLake } from "../../../../support/landing-vacuum.ts";
import { expected, seed } from "../../../../support/seeded-rows.ts";
import { settleLanded, settleLanding } from "../../../../support/settle-landing.ts";
import { makeRow, startMs, type TestRow } from "../../../../support/test-lake.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Stream time after which no window needs rows of small numbers, unless windows are long. */
const laterMs = startMs + hourMs;
let world: VacuumedLake;

beforeEach(async () => {
  world = await VacuumedLake.open();
});
afterEach(() => world.lake.close());

const even = (number: number): TestRow => ({ row: makeRow(number) });
const other = (number: number): TestRow => ({ topic: otherTopic, row: makeRow(number) });
function late(number: number): TestRow {
  const row = makeRow(number);
  return { row: { ...row, ingestTimeMs: row.ingestTimeMs + 2 * hourMs } };
}

/** Runs, waits for the readers, and runs again. */
async function twice(): Promise<void> {
  await world.run();
  world.pass(hourMs);
  await world.run();
}

test("while nothing has landed, no folder is listed, and neither clocks nor topics are asked", async () => {
  await world.lake.commit([even(1)]);
  world.pass(3 * hourMs);
  const report = await world.run();
  assert.deepEqual([report.held, world.listed, world.topicsAsked], [0, [], 0]);
});

test("a landing file stays while a lane of any table waits, and an hour by both clocks after the last one was settled", async () => {
  const { lake } = world;
  const commit = await lake.land([even(1), late(2), other(3)]);
  await world.moveTo(laterMs);
  await settleLanding(lake, commit, ["topic-2"]);
  await settleLanded(lake, "telemetry", { lane: "even", upTo: commit });
  await twice();
  assert.deepEqual([await world.there(commit), (await world.run()).held], [[commit], 1]);
  await settleLanded(lake, "telemetry", { lane: "late", upTo: commit });
  await world.run();
  world.pass(hourMs, { store: false });
  await world.run();
  assert.deepEqual(await world.there(commit), [commit], "by the store's clock no time has passed");
  world.restart();
  await world.run();
  world.pass(hourMs, { elapsed: false });
  await world.run();
  assert.deepEqual(await world.there(commit), [commit], "the store's clock was set forward");
  world.pass(-5 * hourMs, { elapsed: false });
  await world.run();
  world.pass(hourMs - 1_000);
  await world.run();
  assert.deepEqual(await world.there(commit), [commit]);
  world.pass(2_000);
  const report = await world.run();
  assert.deepEqual([report.settled, report.held, report.fences], [1, 0, 0]);
  assert.deepEqual(await world.there(commit), []);
  assert.ok(report.bytes > 0 && (await lake.commitLog.entry(commit))?.landing, "its entry stays");
});

test("a reader that took a version of a table before the file was settled can still read it", async () => {
  const { lake } = world;
  const commit = await lake.land([even(1)]);
  await world.moveTo(laterMs);
  await world.run();
  world.pass(3 * hourMs);
  await settleLanding(lake, commit);
  await world.run();
  assert.deepEqual(await world.there(commit), [commit]);
});

test("one late row holds its own file, not those of earlier and later commits", async () => {
  const { lake } = world;
  const commits = [
    await lake.land([even(1)]),
    await lake.land([even(2), late(3)]),
    await lake.land([even(4)]),
  ];
  const [, second = assert.fail(), third = assert.fail()] = commits;
  await world.moveTo(laterMs);
  await settleLanded(lake, "telemetry", { lane: "even", upTo: third });
  await twice();
  assert.deepEqual(await world.there(...commits), [second]);
  await settleLanded(lake, "telemetry", { lane: "late", upTo: second });
  await twice();
  assert.deepEqual(await world.there(...commits), []);
});

test("a settled file stays while seeding reads back to it; after that, windows and followers find its rows in the tables", async () => {
  const { lake } = world;
  world.windowMs = 30 * minuteMs;
  const rows = [even(2), even(4), other(6)];
  const commit = await lake.land(rows);
  await settleLanding(lake, commit);
  const ofRows = makeRow(6).streamTimeMs;
  await world.moveTo(ofRows + 29 * minuteMs, [0]);
  world.pass(10 * hourMs);
  await twice();
  assert.deepEqual(await world.there(commit), [commit]);
  await world.moveTo(ofRows + 32 * minuteMs, [0]);
  await twice();
  assert.deepEqual(await world.there(commit), [commit], "partition 1 has not moved on");
  await world.moveTo(ofRows + 32 * minuteMs, [1]);
  await twice();
  assert.deepEqual(await world.there(commit), []);
  assert.deepEqual(await seed(lake), expected(rows));
  const followed = createCommittedRows(lake);
  const read: number[] = [];
  for await (const { rows: some } of followed.read(await followed.earliest())) read.push(some.length);
  assert.equal(
    read.reduce((sum, count) => sum + count, 0),
    rows.length,
  );
});

test("the rows that an ended partition or another stream left are kept as long as a window may need them", async () => {
  const { lake } = world;
  const commit = await lake.land([even(2)], { moved: [0] });
  await settleLanding(lake, commit);
  const state = await lake.commitLog.load();
  const clockMs = makeRow(2).streamTimeMs;
  const move = state.moves.get("stream-1/0") ?? assert.fail();
  const reader = { ...move, from: "", to: "1", shifts: { "stream-1/0": 0 } };
  const entry = { format: 1, committedAtMs: 1, tables: {} } as const;
  await lake.commitLog.append({
    ...{ ...entry, number: state.number + 1, commitId: randomUUID() },
    moves: { "stream-2/0": { ...reader, streamTimeMs: clockMs } },
  });
  await world.moveTo(laterMs, [0]);
  await twice();
  assert.deepEqual(await world.there(commit), [commit]);
  await lake.commitLog.append({
    ...{ ...entry, number: state.number + 3, commitId: randomUUID() },
    moves: { "stream-2/0": { ...reader, from: "1", to: "2", streamTimeMs: laterMs } },
  });
  await twice();
  assert.deepEqual(await world.there(commit), []);
});

test("a registered follower keeps the files of its entries", async () => {
  const { lake } = world;
  const commits = [await lake.land([even(1)]), await lake.land([even(2)])];
  for (const commit of commits) await settleLanding(lake, commit);
  await world.moveTo(laterMs);
  let from = 2;
  world.restart({ followedFrom: () => from });
  await twice();
  assert.deepEqual(await world.there(...commits), [2]);
  from = 3;
  await twice();
  assert.deepEqual(await world.there(...commits), []);
});

test("bounds of the log are enough, unless the table was read to show less", async () => {
  const { lake } = world;
  const commits = [await lake.land([even(1)]), await lake.land([even(2)])];
  await settleLanding(lake, 1);
  await appendUpkeep(lake.commitLog, { settled: { "topic-1": { ...noCommits, even: 2 } } }, 1);
  await lake.land([even(3)]);
  await world.moveTo(laterMs);
  await twice();
  assert.deepEqual(await world.there(...commits), [2]);
  await settleLanding(lake, 2);
  await settleLanding(lake, 4);
  await twice();
  assert.deepEqual(await world.there(...commits, 4), []);
});

test("a process that begins lists the folder once, and reads no entries if it is empty", async () => {
  const { lake, listed } = world;
  const commits = [await lake.land([even(1)]), await lake.land([even(2)])];
  for (const commit of commits) await settleLanding(lake, commit);
  await world.moveTo(laterMs);
  await twice();
  await world.run();
  const folders = () => listed.filter((prefix) => prefix === "_landing/").length;
  assert.deepEqual([await world.there(...commits), folders()], [[], 2], "one search for unnamed files, too");
  const read: number[] = [];
  const commitLog = Object.create(lake.commitLog, {
    lakeId: { value: lake.commitLog.lakeId },
    load: { value: () => lake.commitLog.load() },
    entry: {
      value: (number: number) => {
        read.push(number);
        return lake.commitLog.entry(number);
      },
    },
  }) as typeof lake.commitLog;
  world.restart({ commitLog });
  await world.run();
  assert.deepEqual([folders(), read], [3, []]);
  const more = await lake.land([even(5)]);
  await world.run();
  assert.deepEqual(read, [more]);
});

test("a stopped run goes on where it was", async () => {
  const { lake } = world;
  const commits = [await lake.land([even(1)]), await lake.land([even(2)])];
  await world.run();
  for (const commit of commits) await settleLanding(lake, commit);
  await world.moveTo(laterMs);
  await assert.rejects(world.run(AbortSignal.abort(new Error("stop"))), /stop/);
  assert.equal((await world.run()).held, 2);
  world.pass(hourMs);
  await assert.rejects(world.run(AbortSignal.abort(new Error("stop"))), /stop/);
  assert.deepEqual(await world.there(...commits), commits);
  await world.run();
  assert.deepEqual(await world.there(...commits), []);
});
