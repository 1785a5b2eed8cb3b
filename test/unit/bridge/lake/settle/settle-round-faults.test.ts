import assert from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { appendUpkeep } from "../../../../../bridge/lake/commit-log/append-upkeep.ts";
import { quarantineKey } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { transactionId } from "../../../../../bridge/lake/delta/lane-transactions.ts";
import { roundLimits } from "../../../../../bridge/lake/settle/round-commits.ts";
import { openSettleProcess } from "../../../../support/settle-process.ts";
import {
  allLanes,
  first,
  levelRow,
  openSettledLake,
  quarantinedRow,
  type SettledLake,
  second,
  settle,
} from "../../../../support/settled-lake.ts";
import type { TestRow } from "../../../../support/test-lake.ts";
import { withStore } from "../../../../support/with-store.ts";

let lake: SettledLake;

beforeEach(async () => {
  lake = await openSettledLake();
});
afterEach(() => lake.close());

const unavailable = (text: string) => new BridgeError("STORE_UNAVAILABLE", text, { retryable: true });

test("a table that can't take the rows is parked, and shows them once it can; others go on", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2)]);
  const process = await openSettleProcess(lake);
  await settle(process);
  const foreign = new DeltaTable(lake.store, "first");
  const metaData = (await foreign.refresh()).metaData ?? assert.fail("the table has metadata");
  const configuration = { "delta.constraints.positive": "level > 0" };
  await foreign.append([{ metaData: { ...metaData, configuration } }]);
  await lake.land([levelRow(first, 3), levelRow(first, 4, -2), levelRow(second, 5)]);
  const files = readdirSync(join(lake.folder, "first"), { recursive: true }).length;
  assert.deepEqual(await settle(process), {
    first: "parked",
    second: "settled",
    isComplete: true,
  });
  assert.equal(readdirSync(join(lake.folder, "first"), { recursive: true }).length, files);
  assert.deepEqual(await lake.values("second"), [2, 5]);
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
  assert.deepEqual([process.tables.parked.list(2), await lake.values("first")], [[], [1, 3, 4]]);
});

test("a process dies between files and version: the next round settles the rows once", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2)]);
  const dying = { onWritten: () => Promise.reject(unavailable("injected: killed")) };
  assert.deepEqual(await lake.settleOnce(dying, allLanes("first", "second")), {
    first: "failed",
    second: "failed",
    isComplete: true,
  });
  assert.equal((await lake.content("first")).version, -1);
  assert.deepEqual(await lake.settleOnce({}, allLanes("first", "second")), {
    first: "settled",
    second: "settled",
    isComplete: true,
  });
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1], [2]]);
});

test("several tables that fail in a row end the round with the store's error", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2), quarantinedRow(4)]);
  const onWritten = () => Promise.reject(unavailable("injected: down"));
  await assert.rejects(lake.settleOnce({ onWritten }), { code: "STORE_UNAVAILABLE" });
  await lake.settleOnce();
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1], [2]]);
});

test("if the logs of several tables can't be read, the round ends; if one can't, the others go on", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2), quarantinedRow(4)]);
  let down: readonly string[] = ["first"];
  const get = (path: string) =>
    down.some((name) => path.startsWith(`${name}/`))
      ? Promise.reject(unavailable("injected: down"))
      : lake.store.get(path);
  const process = await openSettleProcess(lake, { store: withStore(lake.store, { get }) });
  const { isComplete: _, ...outcomes } = await settle(process);
  assert.deepEqual(outcomes, { first: "failed", second: "settled", [quarantineKey]: "settled" });
  for (let attempt = 2; attempt < 5; attempt++) assert.equal((await settle(process))["isComplete"], true);
  assert.deepEqual(await settle(process, allLanes("first")), { first: "parked", isComplete: true });
  down = ["first", "second", quarantineKey];
  const other = await openSettleProcess(lake, { store: withStore(lake.store, { get }) });
  await assert.rejects(settle(other), { code: "STORE_UNAVAILABLE" });
  down = [];
  process.pass(60_000);
  await settle(process);
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1], [2]]);
});

test("the store's answer is lost: the version stands, and the next round adds nothing", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2)]);
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
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1], [2]]);
});

test("a table whose log lost its transactions is parked once rows wait, and others go on", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2)]);
  await lake.settleOnce();
  const bound = { direct: 0, even: 1, odd: 0, late: 0 };
  await appendUpkeep(lake.commitLog, { settled: { [first.topicId]: bound } }, 1);
  rmSync(join(lake.folder, "first", "_delta_log"), { recursive: true });
  assert.deepEqual(await lake.settleOnce({}, allLanes("first")), { first: "nothing", isComplete: true });
  const asked = new Set(["first"]);
  const nothing = { first: "nothing", isComplete: true };
  assert.deepEqual(await settle(await openSettleProcess(lake), new Map(), { asked }), nothing);
  assert.equal((await lake.content("first")).version, -1, "nothing hinders a copy of the log");
  await lake.land([levelRow(first, 3), levelRow(second, 4)]);
  const process = await openSettleProcess(lake);
  assert.deepEqual(await settle(process, allLanes("first", "second")), {
    first: "parked",
    second: "settled",
    isComplete: true,
  });
  const [parked] = process.tables.parked.list(3);
  assert.match(parked?.reason ?? "", /first shows the even rows of commits up to 0, but .* up to 1 before/);
  assert.match(parked?.wayOut ?? "", /restore first\/_delta_log\/ from a copy/);
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[], [2, 4]]);
});

test("a table that shows a commit which the log does not have stops settling", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2)]);
  const foreign = new DeltaTable(lake.store, "first");
  await lake.settleOnce({}, allLanes("first"));
  const appId = transactionId(lake.commitLog.lakeId, "even");
  await foreign.append([{ txn: { appId, version: 99 } }]);
  await assert.rejects(lake.settleOnce(), {
    code: "LAKE_DAMAGED",
    message: /first shows commit 99, .* ends at 1/,
  });
});

test("a landing file that can't be read parks its tables, after the rows before it; others go on", async () => {
  const landed = async (rows: readonly TestRow[]) => {
    const commit = await lake.land(rows);
    return (await lake.commitLog.entry(commit))?.landing?.file.path ?? "";
  };
  await landed([levelRow(first, 1), levelRow(second, 2)]);
  const damaged = await landed([levelRow(first, 3)]);
  await landed([levelRow(first, 4), levelRow(second, 5)]);
  await landed([levelRow(second, 6)]);
  const bytes = (await lake.store.get(damaged)) ?? assert.fail("the landing file is there");
  writeFileSync(join(lake.folder, damaged), "no Parquet");
  const process = await openSettleProcess(lake);
  const due = allLanes("first", "second");
  assert.deepEqual(await settle(process, due), { first: "parked", second: "settled", isComplete: true });
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1], [2, 5, 6]]);
  const [parked] = process.tables.parked.list(4);
  assert.deepEqual([parked?.code, parked?.heldCommits], ["LAKE_DAMAGED", 3]);
  assert.equal(parked?.wayOut, `restore ${damaged} from a copy; the gateway tries again by itself`);
  rmSync(join(lake.folder, damaged));
  process.pass(1_000);
  assert.deepEqual(await settle(process, due), { first: "parked", second: "nothing", isComplete: true });
  await lake.store.put(damaged, bytes);
  process.pass(60_000);
  assert.deepEqual(await settle(process, due), { first: "settled", second: "nothing", isComplete: true });
  assert.deepEqual([await lake.values("first"), process.tables.parked.list(4)], [[1, 3, 4], []]);
});

test("a table that catches up after it was parked does not stop the others", async () => {
  await lake.land([levelRow(first, 0)]);
  await lake.settleOnce();
  const foreign = new DeltaTable(lake.store, "first");
  const metaData = (await foreign.refresh()).metaData ?? assert.fail("the table has metadata");
  await foreign.append([
    { metaData: { ...metaData, configuration: { "delta.constraints.c": "level > 0" } } },
  ]);
  for (let number = 1; number <= 4; number++) await lake.land([levelRow(first, number)]);
  const process = await openSettleProcess(lake);
  await settle(process);
  await lake.land([levelRow(second, 5)]);
  await foreign.refresh();
  await foreign.append([{ metaData }]);
  process.pass(1_000);
  const limits = { ...roundLimits, commitsMax: 2 };
  const due = allLanes("first", "second");
  const both = { first: "settled", second: "settled" };
  assert.deepEqual(await settle(process, due, { limits }), { ...both, isComplete: false });
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[0, 1, 2], [5]]);
  const [behind] = process.tables.parked.list(6);
  assert.deepEqual([behind?.code, behind?.heldCommits], ["TABLE_BEHIND", 3]);
  assert.deepEqual(await settle(process, due, { limits }), {
    first: "settled",
    second: "nothing",
    isComplete: true,
  });
  assert.deepEqual([await lake.values("first"), process.tables.parked.list(6)], [[0, 1, 2, 3, 4], []]);
});

test("an abort ends the round between two tables", async () => {
  await lake.land([levelRow(first, 1), levelRow(second, 2)]);
  const abort = new AbortController();
  const process = await openSettleProcess(lake, { onWritten: async () => abort.abort() });
  const due = allLanes("first", "second");
  const { signal } = abort;
  assert.deepEqual(await settle(process, due, { signal }), { first: "settled", isComplete: false });
  assert.deepEqual([await lake.values("first"), await lake.values("second")], [[1], []]);
});
