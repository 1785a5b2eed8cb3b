import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Registry } from "prom-client";
import { appendUpkeep } from "../../../../../bridge/lake/commit-log/append-upkeep.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { settleWork } from "../../../../../bridge/lake/settle/settle-work.ts";
import { UpkeepLoop } from "../../../../../bridge/lake/upkeep/upkeep-loop.ts";
import { UpkeepMetrics } from "../../../../../bridge/lake/upkeep/upkeep-metrics.ts";
import { openSettleProcess, type SettleProcessOptions } from "../../../../support/settle-process.ts";
import { settledContent } from "../../../../support/settled-rows.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  silentLogger,
  type TestLake,
  type TestRow,
} from "../../../../support/test-lake.ts";
import { until } from "../../../../support/until.ts";

const levels = [column("level", "long")];
const first = makeTopic({ topicId: "id-first", name: "first", columns: levels });
const second = makeTopic({ topicId: "id-second", name: "second", columns: levels });
const signal = new AbortController().signal;
let lake: TestLake;

beforeEach(async () => {
  lake = await openTestLake([first, second]);
});
afterEach(() => lake.close());

function row(topic: typeof first, number: number): TestRow {
  return { topic, row: makeRow(number), values: [number] };
}

async function values(name: string) {
  return (await settledContent(lake.folder, name, "level")).values;
}

/** The work of a process whose clocks stand still until the test moves them. */
async function openWork(options: SettleProcessOptions = {}) {
  let elapsedMs = 1_000;
  let wallMs = Date.now() - elapsedMs;
  const clocks = { now: () => wallMs + elapsedMs, elapsedMs: () => elapsedMs };
  const process = await openSettleProcess(lake, { ...clocks, ...options });
  const work = settleWork({ ...process.options, registry: new Registry() });
  return {
    work,
    /** Sets the wall clock to this long after a commit. */
    setAfter: async (commit: number, ms: number) => {
      const { committedAtMs } = (await lake.commitLog.entry(commit)) ?? assert.fail("the entry is there");
      wallMs = committedAtMs + ms - elapsedMs;
    },
    staged: process.staged,
    clocks,
    pass: (ms: number) => {
      elapsedMs += ms;
    },
    /** ms until the next look. */
    waitMs: () => work.dueAtMs() - elapsedMs,
  };
}

test("rows are settled when they are due, and looks are as far apart as the shortest wait", async () => {
  const { work, setAfter, pass, waitMs, staged } = await openWork();
  assert.equal(waitMs(), 0);
  await work.run(signal);
  assert.equal(waitMs(), 10_000);
  await setAfter(await lake.land([row(first, 1)]), 4_000);
  await work.run(signal);
  assert.deepEqual([await values("first"), staged, waitMs()], [[], [], 6_000]);
  pass(6_000);
  await work.run(signal);
  assert.deepEqual([await values("first"), waitMs()], [[1], 10_000]);
});

test("a table that somebody asks for is settled at the next look, with rows or without", async () => {
  const { work, setAfter, waitMs } = await openWork();
  await setAfter(await lake.land([row(first, 1), row(second, 2)]), 0);
  await work.run(signal);
  work.ask("first");
  work.ask("unknown");
  assert.equal(waitMs(), 0);
  await work.run(signal);
  assert.deepEqual([await values("first"), await values("second")], [[1], []]);
  const everywhere = { direct: 1, even: 1, odd: 1, late: 1 };
  assert.deepEqual((await settledContent(lake.folder, "first", "level")).lanes, everywhere);
  await appendUpkeep(lake.commitLog, {}, 1);
  await work.run(signal);
  assert.deepEqual((await settledContent(lake.folder, "first", "level")).lanes, everywhere, "asked once");
});

test("a parked table is told, stays asked for, and is retried", async () => {
  const { work, pass, waitMs } = await openWork();
  await lake.land([row(first, 1)]);
  work.ask("first");
  await work.run(signal);
  const foreign = new DeltaTable(lake.store, "first");
  const metaData = (await foreign.refresh()).metaData ?? assert.fail("the table has metadata");
  await foreign.append([
    { metaData: { ...metaData, configuration: { "delta.constraints.c": "level > 0" } } },
  ]);
  await lake.land([row(first, 2)]);
  work.ask("first");
  await work.run(signal);
  assert.deepEqual(
    work.troubles().parked.map(({ table, heldCommits }) => [table, heldCommits]),
    [["first", 1]],
  );
  assert.ok(waitMs() >= 1_000, "no look before another second");
  await foreign.refresh();
  await foreign.append([{ metaData }]);
  pass(1_000);
  await work.run(signal);
  assert.deepEqual([await values("first"), work.troubles().parked], [[1, 2], []]);
});

test("after a start, rows wait as long as before it", async () => {
  await lake.land([row(first, 1)]);
  for (let commit = 0; commit < 100; commit++) await appendUpkeep(lake.commitLog, {}, 1);
  await lake.commitLog.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
  const { work, setAfter, pass, waitMs } = await openWork();
  await setAfter(1, 7_000);
  await work.run(signal);
  assert.deepEqual([await values("first"), waitMs()], [[], 3_000]);
  pass(3_000);
  await work.run(signal);
  assert.deepEqual(await values("first"), [1]);
});

test("the upkeep's loop settles a lake, one round at a time", async () => {
  const { work, clocks, pass } = await openWork();
  await lake.land([row(first, 1), row(second, 2)]);
  const sleep = async (ms: number) => {
    pass(ms);
    await nextTurn();
  };
  const metrics = new UpkeepMetrics(new Registry());
  const loop = new UpkeepLoop({
    works: [work],
    isOurs: () => true,
    logger: silentLogger,
    metrics,
    ...clocks,
    sleep,
  });
  loop.start();
  await until("both tables show their rows", async () => (await values("second")).length === 1);
  await loop.stop();
  assert.deepEqual([await values("first"), await values("second"), loop.status().failure], [[1], [2], null]);
});
