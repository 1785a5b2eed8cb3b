import assert from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { appendUpkeep } from "../../../../../bridge/lake/commit-log/append-upkeep.ts";
import { quarantineKey } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { type Lane, lanes } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { transactionId } from "../../../../../bridge/lake/delta/lane-transactions.ts";
import { roundLimits } from "../../../../../bridge/lake/settle/round-commits.ts";
import { type RoundOptions, settleRound } from "../../../../../bridge/lake/settle/settle-round.ts";
import { writeTopicVersion } from "../../../../../bridge/lake/topic-versions.ts";
import type { QuarantineFacts } from "../../../../../bridge/tail/row.ts";
import type { TopicVersion } from "../../../../../bridge/topics/topic-catalog.ts";
import {
  openSettleProcess,
  type SettleProcess,
  type SettleProcessOptions,
} from "../../../../support/settle-process.ts";
import { settledContent } from "../../../../support/settled-rows.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
  type TestRow,
} from "../../../../support/test-lake.ts";
import { withStore } from "../../../../support/with-store.ts";

const hourMs = 3_600_000;
const levels = [column("level", "long")];
const first = makeTopic({ topicId: "id-first", name: "first", columns: levels });
const second = makeTopic({ topicId: "id-second", name: "second", columns: levels });
const again = makeTopic({ topicId: "id-again", name: "first", columns: levels });
const facts: QuarantineFacts = {
  topicId: first.topicId,
  topicVersion: 1,
  reason: "undecodable",
  detail: "bad",
};
let lake: TestLake;

beforeEach(async () => {
  lake = await openTestLake([first, second, again]);
});
afterEach(() => lake.close());

/** The test's time is in hour 10, so its fresh rows are in lane `even`; an earlier hour's rows came late. */
function row(topic: TopicVersion, number: number, hour = 0): TestRow {
  const eventTimeMs = startMs + hour * hourMs + number;
  const ingestTimeMs = startMs + Math.max(0, hour) * hourMs + number;
  return { topic, row: makeRow(number, { eventTimeMs, ingestTimeMs }), values: [number] };
}

function allLanes(...names: string[]): Map<string, readonly Lane[]> {
  return new Map(names.map((name) => [name, lanes]));
}

const everything = allLanes("first", "second", quarantineKey);

async function settle(process: SettleProcess, due = everything, options: RoundOptions = {}) {
  const { tables, isComplete } = await settleRound(process.tables, due, options);
  const outcomes = Object.fromEntries([...tables].map(([name, { outcome }]) => [name, outcome]));
  return { ...outcomes, isComplete };
}

async function settleOnce(options: SettleProcessOptions = {}, due = everything) {
  return settle(await openSettleProcess(lake, options), due);
}

async function content(name: string, columnName = "level") {
  const { values, files, lanes: shown, version } = await settledContent(lake.folder, name, columnName);
  return { values, files, shown, version };
}

async function values(name: string) {
  return (await content(name)).values;
}

const unavailable = (text: string) => new BridgeError("STORE_UNAVAILABLE", text, { retryable: true });

test("one round stages the landing files once and makes one version of each table", async () => {
  await lake.land([row(first, 1), row(first, 2, 1), row(second, 3), { row: makeRow(4), facts }], {
    direct: [row(first, 5, -3)],
  });
  await lake.land([row(first, 6, -2), row(second, 7)]);
  const process = await openSettleProcess(lake);
  const done = { first: "settled", second: "settled", [quarantineKey]: "settled", isComplete: true };
  assert.deepEqual(await settle(process), done);
  assert.deepEqual(process.staged, [2]);
  assert.deepEqual(await content("first"), {
    values: [1, 2, 5, 6],
    files: 4,
    shown: { direct: 2, even: 2, odd: 2, late: 2 },
    version: 0,
  });
  assert.deepEqual(await content("second"), { values: [3, 7], files: 1, shown: { even: 2 }, version: 0 });
  assert.deepEqual((await content(quarantineKey, "detail")).values, ["bad"]);
});

test("a round settles the lanes that are due, and no others", async () => {
  await lake.land([row(first, 1), row(first, 2, 1), row(first, 3, -2)], { direct: [row(first, 4)] });
  const process = await openSettleProcess(lake);
  assert.deepEqual(await settle(process, new Map([["first", ["even"]]])), {
    first: "settled",
    isComplete: true,
  });
  assert.deepEqual((await content("first")).shown, { even: 1 });
  await settle(process, new Map([["first", ["direct", "odd"]]]));
  await settle(process, new Map([["first", ["late"]]]));
  assert.deepEqual(await content("first"), {
    values: [1, 2, 3, 4],
    files: 4,
    shown: { even: 1, direct: 1, odd: 1, late: 1 },
    version: 2,
  });
});

test("without rows there is no version, unless somebody asks for the transactions", async () => {
  await lake.land([row(first, 1)]);
  const process = await openSettleProcess(lake);
  await settle(process);
  await lake.land([row(second, 2)]);
  assert.deepEqual(await settle(process, allLanes("first")), { first: "nothing", isComplete: true });
  assert.equal((await content("first")).version, 0);
  const asked = new Set(["first", "unknown"]);
  assert.deepEqual(await settle(process, new Map(), { asked }), { first: "settled", isComplete: true });
  assert.deepEqual((await content("first")).shown, { direct: 2, even: 2, odd: 2, late: 2 });
  assert.deepEqual(await settle(process, new Map(), { asked }), { first: "nothing", isComplete: true });
  assert.deepEqual(await values("first"), [1]);
});

test("table files alone need no landing file", async () => {
  await lake.land([], { direct: [row(first, 1)] });
  await lake.commit([row(first, 2)], { publish: false });
  const process = await openSettleProcess(lake);
  assert.deepEqual(await settle(process, allLanes("first")), { first: "settled", isComplete: true });
  assert.deepEqual(process.staged, []);
  assert.deepEqual(await content("first"), { values: [1, 2], files: 2, shown: { direct: 2 }, version: 0 });
});

test("a publisher and a round settle the files of the same commits once", async () => {
  await lake.commit([row(first, 1)]);
  await lake.commit([row(first, 2)], { publish: false });
  await settleOnce();
  assert.deepEqual(await lake.openPublisher().publishPending(), { published: 0 });
  await lake.commit([row(first, 3)]);
  assert.deepEqual(await content("first"), { values: [1, 2, 3], files: 3, shown: { direct: 3 }, version: 2 });
});

test("a table that can't take the rows is parked, and shows them once it can; others go on", async () => {
  await lake.land([row(first, 1), row(second, 2)]);
  const process = await openSettleProcess(lake);
  await settle(process);
  const foreign = new DeltaTable(lake.store, "first");
  const metaData = (await foreign.refresh()).metaData ?? assert.fail("the table has metadata");
  const configuration = { "delta.constraints.positive": "level > 0" };
  await foreign.append([{ metaData: { ...metaData, configuration } }]);
  await lake.land([row(first, 3), row(first, 4, -2), row(second, 5)]);
  const files = readdirSync(join(lake.folder, "first"), { recursive: true }).length;
  assert.deepEqual(await settle(process), {
    first: "parked",
    second: "settled",
    isComplete: true,
  });
  assert.equal(readdirSync(join(lake.folder, "first"), { recursive: true }).length, files);
  assert.deepEqual(await values("second"), [2, 5]);
  const [parked] = process.tables.parked.list(2);
  assert.deepEqual([parked?.table, parked?.code, parked?.heldCommits], ["first", "TABLE_CONFLICT", 1]);
  assert.match(parked?.wayOut ?? "", /drop_constraint/);
  assert.deepEqual(await settle(process, allLanes("first")), { isComplete: true }, "its retry is not due");
  await foreign.append([{ metaData }]);
  process.pass(1_000);
  // The retry is about all lanes, whichever is due.
  assert.deepEqual(await settle(process, new Map([["first", ["even"]]])), {
    first: "settled",
    isComplete: true,
  });
  assert.deepEqual([process.tables.parked.list(2), await values("first")], [[], [1, 3, 4]]);
});

test("two processes settle the same rows: each row is there once", async () => {
  await lake.land([row(first, 1), row(second, 2)]);
  await lake.land([row(first, 3)]);
  const [left, right] = await Promise.all([openSettleProcess(lake), openSettleProcess(lake)]);
  await Promise.all([settle(left), settle(right)]);
  assert.deepEqual([await values("first"), await values("second")], [[1, 3], [2]]);
  await lake.land([row(first, 4)]);
  await Promise.all([settle(left), settle(right)]);
  assert.deepEqual([await values("first"), await values("second")], [[1, 3, 4], [2]]);
});

test("a process that is overtaken by another finds its lanes moved, and settles the rest later", async () => {
  await lake.land([row(first, 1), row(second, 2)]);
  const other = await openSettleProcess(lake);
  let isOvertaken = false;
  const told: string[] = [];
  const process = await openSettleProcess(lake, {
    onResult: (table, { outcome, rows }) => told.push(`${table} ${outcome} ${[...rows].join()}`),
    onWritten: async ({ name }) => {
      if (name !== "first" || isOvertaken) return;
      isOvertaken = true;
      await settle(other, allLanes("first"));
      await lake.land([row(first, 3)]);
    },
  });
  assert.deepEqual(await settle(process, allLanes("first", "second")), {
    first: "moved",
    second: "settled",
    isComplete: true,
  });
  assert.deepEqual(await values("first"), [1]);
  await settle(process);
  assert.deepEqual([await values("first"), await values("second")], [[1, 3], [2]]);
  assert.deepEqual(told.slice(0, 2), ["first moved ", "second settled even,1"]);
  assert.deepEqual(told.slice(2), ["second nothing ", "first settled even,1"]);
});

test("a process dies between files and version: the next round settles the rows once", async () => {
  await lake.land([row(first, 1), row(second, 2)]);
  const dying = { onWritten: () => Promise.reject(unavailable("injected: killed")) };
  assert.deepEqual(await settleOnce(dying, allLanes("first", "second")), {
    first: "failed",
    second: "failed",
    isComplete: true,
  });
  assert.equal((await content("first")).version, -1);
  assert.deepEqual(await settleOnce({}, allLanes("first", "second")), {
    first: "settled",
    second: "settled",
    isComplete: true,
  });
  assert.deepEqual([await values("first"), await values("second")], [[1], [2]]);
});

test("several tables that fail in a row end the round with the store's error", async () => {
  await lake.land([row(first, 1), row(second, 2), { row: makeRow(4), facts }]);
  const onWritten = () => Promise.reject(unavailable("injected: down"));
  await assert.rejects(settleOnce({ onWritten }), { code: "STORE_UNAVAILABLE" });
  await settleOnce();
  assert.deepEqual([await values("first"), await values("second")], [[1], [2]]);
});

test("the store's answer is lost: the version stands, and the next round adds nothing", async () => {
  await lake.land([row(first, 1), row(second, 2)]);
  let isLost = false;
  const store = withStore(lake.store, {
    putIfAbsent: async (path, bytes) => {
      const outcome = await lake.store.putIfAbsent(path, bytes);
      if (isLost || !path.startsWith("first/_delta_log")) return outcome;
      isLost = true;
      throw unavailable("injected: the answer is lost");
    },
  });
  const process = await openSettleProcess(lake, { store });
  const due = allLanes("first", "second");
  assert.deepEqual(await settle(process, due), { first: "failed", second: "settled", isComplete: true });
  assert.deepEqual(await settle(process, due), { first: "nothing", second: "nothing", isComplete: true });
  assert.deepEqual([await values("first"), await values("second")], [[1], [2]]);
});

test("a table whose log lost its transactions is parked once rows wait, and others go on", async () => {
  await lake.land([row(first, 1), row(second, 2)]);
  await settleOnce();
  const bound = { direct: 0, even: 1, odd: 0, late: 0 };
  await appendUpkeep(lake.commitLog, { settled: { [first.topicId]: bound } }, 1);
  rmSync(join(lake.folder, "first", "_delta_log"), { recursive: true });
  assert.deepEqual(await settleOnce({}, allLanes("first")), { first: "nothing", isComplete: true });
  await lake.land([row(first, 3), row(second, 4)]);
  const process = await openSettleProcess(lake);
  assert.deepEqual(await settle(process, allLanes("first", "second")), {
    first: "parked",
    second: "settled",
    isComplete: true,
  });
  const [parked] = process.tables.parked.list(3);
  assert.match(parked?.reason ?? "", /first shows the even rows of commits up to 0, but .* up to 1 before/);
  assert.match(parked?.wayOut ?? "", /restore first\/_delta_log\/ from a copy/);
  assert.deepEqual([await values("first"), await values("second")], [[], [2, 4]]);
});

test("a table that shows a commit which the log does not have stops settling", async () => {
  await lake.land([row(first, 1), row(second, 2)]);
  const foreign = new DeltaTable(lake.store, "first");
  await settleOnce({}, allLanes("first"));
  const appId = transactionId(lake.commitLog.lakeId, "even");
  await foreign.append([{ txn: { appId, version: 99 } }]);
  await assert.rejects(settleOnce(), {
    code: "LAKE_DAMAGED",
    message: /first shows commit 99, .* ends at 1/,
  });
});

test("a landing file that can't be read parks its tables, after the rows before it; others go on", async () => {
  const landed = async (rows: readonly TestRow[]) => {
    const commit = await lake.land(rows);
    return (await lake.commitLog.entry(commit))?.landing?.file.path ?? "";
  };
  await landed([row(first, 1), row(second, 2)]);
  const damaged = await landed([row(first, 3)]);
  await landed([row(first, 4), row(second, 5)]);
  await landed([row(second, 6)]);
  const bytes = (await lake.store.get(damaged)) ?? assert.fail("the landing file is there");
  writeFileSync(join(lake.folder, damaged), "no Parquet");
  const process = await openSettleProcess(lake);
  const due = allLanes("first", "second");
  assert.deepEqual(await settle(process, due), { first: "parked", second: "settled", isComplete: true });
  assert.deepEqual([await values("first"), await values("second")], [[1], [2, 5, 6]]);
  const [parked] = process.tables.parked.list(4);
  assert.deepEqual([parked?.code, parked?.heldCommits], ["LAKE_DAMAGED", 3]);
  assert.equal(parked?.wayOut, `restore ${damaged} from a copy; the gateway tries again by itself`);
  rmSync(join(lake.folder, damaged));
  process.pass(1_000);
  assert.deepEqual(await settle(process, due), { first: "parked", second: "nothing", isComplete: true });
  await lake.store.put(damaged, bytes);
  process.pass(60_000);
  assert.deepEqual(await settle(process, due), { first: "settled", second: "nothing", isComplete: true });
  assert.deepEqual([await values("first"), process.tables.parked.list(4)], [[1, 3, 4], []]);
});

test("more than the budget is settled in several rounds, the oldest commits first", async () => {
  for (let number = 1; number <= 3; number++) await lake.land([row(first, number), row(second, number)]);
  const size = (await lake.commitLog.entry(1))?.landing?.file.size ?? 0;
  const limits = { ...roundLimits, sizeMax: 2 * size + 10 };
  const process = await openSettleProcess(lake);
  const due = allLanes("first", "second");
  const settled = { first: "settled", second: "settled" };
  assert.deepEqual(await settle(process, due, { limits }), { ...settled, isComplete: false });
  assert.deepEqual([await values("first"), (await content("first")).shown], [[1, 2], { even: 2 }]);
  assert.deepEqual(await settle(process, due, { limits }), { ...settled, isComplete: true });
  assert.deepEqual(await content("second"), { values: [1, 2, 3], files: 2, shown: { even: 3 }, version: 1 });
  assert.deepEqual(process.staged, [2, 1]);
  await lake.land([row(first, 4)]);
  assert.deepEqual(await settle(process, allLanes("first"), { limits: { ...limits, sizeMax: 1 } }), {
    first: "settled",
    isComplete: true,
  });
});

test("a name that was created again has one table, with the rows of both topics", async () => {
  await lake.land([row(first, 1)]);
  await lake.land([row(again, 2), row(again, 3, -2)], { direct: [row(again, 4)] });
  await settleOnce();
  assert.deepEqual((await content("first")).values, [1, 2, 3, 4]);
  const wider = { ...again, version: 2, columns: [...levels, column("state", "string")] };
  await writeTopicVersion(lake.store, wider);
  await lake.land([row(first, 5), { topic: wider, row: makeRow(6), values: [6, "on"] }]);
  await settleOnce();
  assert.deepEqual(await content("first"), {
    values: [1, 2, 3, 4, 5, 6],
    files: 4,
    shown: { direct: 2, even: 3, late: 2 },
    version: 1,
  });
  assert.deepEqual((await content("first", "state")).values.filter((value) => value === "on").length, 1);
});

test("a process that begins at a snapshot settles what waited before it", async () => {
  await lake.land([row(first, 1), row(second, 2)]);
  await settleOnce({}, allLanes("second"));
  await lake.land([row(second, 3)]);
  for (let commit = 0; commit < 100; commit++) await appendUpkeep(lake.commitLog, {}, 1);
  await lake.commitLog.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
  await lake.land([row(second, 4)]);
  const process = await openSettleProcess(lake);
  await settle(process);
  assert.deepEqual([await values("first"), await values("second")], [[1], [2, 3, 4]]);
  assert.deepEqual(process.staged, [3]);
});

test("an abort ends the round between two tables", async () => {
  await lake.land([row(first, 1), row(second, 2)]);
  const abort = new AbortController();
  const process = await openSettleProcess(lake, { onWritten: async () => abort.abort() });
  const due = allLanes("first", "second");
  const { signal } = abort;
  assert.deepEqual(await settle(process, due, { signal }), { first: "settled", isComplete: false });
  assert.deepEqual([await values("first"), await values("second")], [[1], []]);
});
