import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { appendUpkeep } from "../../../../../bridge/lake/commit-log/append-upkeep.ts";
import { quarantineKey } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { roundLimits } from "../../../../../bridge/lake/settle/round-commits.ts";
import { writeTopicVersion } from "../../../../../bridge/lake/topic-versions.ts";
import { openSettleProcess } from "../../../../support/settle-process.ts";
import {
  again,
  allLanes,
  first,
  levelRow,
  levels,
  openSettledLake,
  quarantinedRow,
  type SettledLake,
  second,
  settle,
} from "../../../../support/settled-lake.ts";
import { column, makeRow } from "../../../../support/test-lake.ts";

let lake: SettledLake;

beforeEach(async () => {
  lake = await openSettledLake();
});
afterEach(() => lake.close());

test("one round stages the landing files once and makes one version of each table", async () => {
  await lake.land([levelRow(first, 1), levelRow(first, 2, 1), levelRow(second, 3), quarantinedRow(4)], {
    direct: [levelRow(first, 5, -3)],
  });
  await lake.land([levelRow(first, 6, -2), levelRow(second, 7)]);
  const process = await openSettleProcess(lake);
  const done = { first: "settled", second: "settled", [quarantineKey]: "settled", isComplete: true };
  assert.deepEqual(await settle(process), done);
  assert.deepEqual(process.staged, [2]);
  assert.deepEqual(await lake.content("first"), {
    values: [1, 2, 5, 6],
    files: 4,
    lanes: { direct: 2, even: 2, odd: 2, late: 2 },
    version: 0,
  });
  assert.deepEqual(await lake.content("second"), {
    values: [3, 7],
    files: 1,
    lanes: { even: 2 },
    version: 0,
  });
  assert.deepEqual((await lake.content(quarantineKey, "detail")).values, ["bad"]);
});

test("a round settles the lanes that are due, and no others", async () => {
  await lake.land([levelRow(first, 1), levelRow(first, 2, 1), levelRow(first, 3, -2)], {
    direct: [levelRow(first, 4)],
  });
  const process = await openSettleProcess(lake);
  assert.deepEqual(await settle(process, new Map([["first", ["even"]]])), {
    first: "settled",
    isComplete: true,
  });
  assert.deepEqual((await lake.content("first")).lanes, { even: 1 });
  await settle(process, new Map([["first", ["direct", "odd"]]]));
  await settle(process, new Map([["first", ["late"]]]));
  assert.deepEqual(await lake.content("first"), {
    values: [1, 2, 3, 4],
    files: 4,
    lanes: { even: 1, direct: 1, odd: 1, late: 1 },
    version: 2,
  });
});

test("without rows there is no version, unless somebody asks for the transactions", async () => {
  await lake.land([levelRow(first, 1)]);
  const process = await openSettleProcess(lake);
  await settle(process);
  await lake.land([levelRow(second, 2)]);
  assert.deepEqual(await settle(process, allLanes("first")), { first: "nothing", isComplete: true });
  assert.equal((await lake.content("first")).version, 0);
  const asked = new Set(["first", "unknown"]);
  assert.deepEqual(await settle(process, new Map(), { asked }), { first: "settled", isComplete: true });
  assert.deepEqual((await lake.content("first")).lanes, { direct: 2, even: 2, odd: 2, late: 2 });
  assert.deepEqual(await settle(process, new Map(), { asked }), { first: "nothing", isComplete: true });
  assert.deepEqual(await lake.values("first"), [1]);
});

test("table files alone need no landing file", async () => {
  await lake.land([], { direct: [levelRow(first, 1)] });
  await lake.commit([levelRow(first, 2)], { publish: false });
  const process = await openSettleProcess(lake);
  assert.deepEqual(await settle(process, allLanes("first")), { first: "settled", isComplete: true });
  assert.deepEqual(process.staged, []);
  assert.deepEqual(await lake.content("first"), {
    values: [1, 2],
    files: 2,
    lanes: { direct: 2 },
    version: 0,
  });
});

test("a publisher and a round settle the files of the same commits once", async () => {
  await lake.commit([levelRow(first, 1)]);
  await lake.commit([levelRow(first, 2)], { publish: false });
  await lake.settleOnce();
  assert.deepEqual(await lake.openPublisher().publishPending(), { published: 0 });
  await lake.commit([levelRow(first, 3)]);
  assert.deepEqual(await lake.content("first"), {
    values: [1, 2, 3],
    files: 3,
    lanes: { direct: 3 },
    version: 2,
  });
});

test("two processes settle the same rows: each row is there once", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2)]);
  await lake.land([levelRow(first, 3)]);
  const [left, right] = await Promise.all([openSettleProcess(lake), openSettleProcess(lake)]);
  await Promise.all([settle(left), settle(right)]);
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1, 3], [2]]);
  await lake.land([levelRow(first, 4)]);
  await Promise.all([settle(left), settle(right)]);
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1, 3, 4], [2]]);
});

test("a process that is overtaken by another finds its lanes moved, and settles the rest later", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2)]);
  const other = await openSettleProcess(lake);
  let isOvertaken = false;
  const told: string[] = [];
  const process = await openSettleProcess(lake, {
    onResult: (table, { outcome, rows }) => told.push(`${table} ${outcome} ${[...rows].join()}`),
    onWritten: async ({ name }) => {
      if (name !== "first" || isOvertaken) return;
      isOvertaken = true;
      await settle(other, allLanes("first"));
      await lake.land([levelRow(first, 3)]);
    },
  });
  assert.deepEqual(await settle(process, allLanes("first", "second")), {
    first: "moved",
    second: "settled",
    isComplete: true,
  });
  assert.deepEqual(await lake.values("first"), [1]);
  await settle(process);
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1, 3], [2]]);
  assert.deepEqual(told.slice(0, 2), ["first moved ", "second settled even,1"]);
  assert.deepEqual(told.slice(2), ["second nothing ", "first settled even,1"]);
});

test("more than the budget is settled in several rounds, the oldest commits first", async () => {
  for (let number = 1; number <= 3; number++)
    await lake.land([levelRow(first, number), levelRow(second, number)]);
  const size = (await lake.commitLog.entry(1))?.landing?.file.size ?? 0;
  const limits = { ...roundLimits, sizeMax: 2 * size + 10 };
  const process = await openSettleProcess(lake);
  const due = allLanes("first", "second");
  const settled = { first: "settled", second: "settled" };
  assert.deepEqual(await settle(process, due, { limits }), { ...settled, isComplete: false });
  assert.deepEqual([await lake.values("first"), (await lake.content("first")).lanes], [[1, 2], { even: 2 }]);
  assert.deepEqual(await settle(process, due, { limits }), { ...settled, isComplete: true });
  assert.deepEqual(await lake.content("second"), {
    values: [1, 2, 3],
    files: 2,
    lanes: { even: 3 },
    version: 1,
  });
  assert.deepEqual(process.staged, [2, 1]);
  await lake.land([levelRow(first, 4)]);
  assert.deepEqual(await settle(process, allLanes("first"), { limits: { ...limits, sizeMax: 1 } }), {
    first: "settled",
    isComplete: true,
  });
});

test("if not everything fits, fresh rows are settled before late ones of long ago", async () => {
  for (let number = 1; number <= 4; number++) await lake.land([levelRow(first, number, -2)]);
  await lake.land([levelRow(first, 5), levelRow(second, 6)]);
  const limits = { ...roundLimits, commitsMax: 2 };
  const process = await openSettleProcess(lake);
  const due = allLanes("first", "second");
  const both = { first: "settled", second: "settled", isComplete: false };
  assert.deepEqual(await settle(process, due, { limits }), both);
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[5], [6]]);
  const firstOnly = { first: "settled", second: "nothing" };
  assert.deepEqual(await settle(process, due, { limits }), { ...firstOnly, isComplete: false });
  assert.deepEqual(await settle(process, due, { limits }), { ...firstOnly, isComplete: true });
  assert.deepEqual((await lake.content("first")).lanes, { even: 5, late: 5 });
  assert.deepEqual(await lake.values("first"), [1, 2, 3, 4, 5]);
});

test("a name that was created again has one table, with the rows of both topics", async () => {
  await lake.land([levelRow(first, 1)]);
  await lake.land([levelRow(again, 2), levelRow(again, 3, -2)], { direct: [levelRow(again, 4)] });
  await lake.settleOnce();
  assert.deepEqual((await lake.content("first")).values, [1, 2, 3, 4]);
  const wider = { ...again, version: 2, columns: [...levels, column("state", "string")] };
  await writeTopicVersion(lake.store, wider);
  await lake.land([levelRow(first, 5), { topic: wider, row: makeRow(6), values: [6, "on"] }]);
  await lake.settleOnce();
  assert.deepEqual(await lake.content("first"), {
    values: [1, 2, 3, 4, 5, 6],
    files: 4,
    lanes: { direct: 2, even: 3, late: 2 },
    version: 1,
  });
  assert.deepEqual((await lake.content("first", "state")).values.filter((value) => value === "on").length, 1);
});

test("a process that begins at a snapshot settles what waited before it", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2)]);
  await lake.settleOnce({}, allLanes("second"));
  await lake.land([levelRow(second, 3)]);
  for (let commit = 0; commit < 100; commit++) await appendUpkeep(lake.commitLog, {}, 1);
  await lake.commitLog.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
  await lake.land([levelRow(second, 4)]);
  const process = await openSettleProcess(lake);
  await settle(process);
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1], [2, 3, 4]]);
  assert.deepEqual(process.staged, [3]);
});
