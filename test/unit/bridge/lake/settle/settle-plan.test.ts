import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lane } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import type { WaitingRows } from "../../../../../bridge/lake/delta/unsettled-commits.ts";
import {
  type PlanMoment,
  planSettle,
  type WaitingLanes,
} from "../../../../../bridge/lake/settle/settle-plan.ts";

const [secondMs, minuteMs, hourMs] = [1_000, 60_000, 3_600_000];
const [mebibyte, gibibyte] = [1024 ** 2, 1024 ** 3];
/** The hour 10 of a day is even. */
const dayMs = Date.UTC(2026, 10, 22);

/** `10:30:05` of that day, ms. */
function at(time: string): number {
  return dayMs + Date.parse(`1970-01-01T${time}Z`);
}

function since(time: string, fields: Partial<WaitingRows> = {}): WaitingRows {
  const few = { rows: 10, size: 1_000, landingBytes: 1_000, entries: 5 };
  return { first: 1_000, firstMs: at(time), ...few, ...fields };
}

/** `count` tables with the same rows. */
function tables(count: number, lanes: WaitingLanes): Map<string, WaitingLanes> {
  return new Map(Array.from({ length: count }, (_, index) => [`table_${index}`, lanes]));
}

/** Lanes that are due in the first table, and the time of the next, as `10:30:05`. */
function plan(waiting: Map<string, WaitingLanes>, moment: Partial<PlanMoment> & { readonly now: string }) {
  const { now, ...rest } = moment;
  const { due, nextMs } = planSettle(waiting, { nowMs: at(now), ...rest });
  const [first = ""] = waiting.keys();
  const next = nextMs === null ? null : new Date(nextMs).toISOString();
  return { due: due.get(first) ?? [], next: next?.slice(11, 19) ?? null };
}

test("the wait grows with the number of groups, within its bounds", () => {
  const rows: readonly [groups: number, lane: Lane, waitMs: number][] = [
    [1, "direct", 10 * secondMs],
    [2, "direct", 18 * secondMs],
    [100, "direct", 15 * minuteMs],
    [1_000, "direct", hourMs],
    [1, "even", 10 * secondMs],
    [20, "even", 180 * secondMs],
    [1, "late", hourMs],
    [800, "late", 2 * hourMs],
    [100_000, "late", 24 * hourMs],
  ];
  for (const [groups, lane, waitMs] of rows) {
    const firstMs = at("10:05:00");
    const waiting = tables(groups, { [lane]: since("10:05:00") });
    const before = planSettle(waiting, { nowMs: firstMs + waitMs - 1 });
    assert.deepEqual([before.due.size, before.nextMs], [0, firstMs + waitMs], `${groups} ${lane}`);
    const then = planSettle(waiting, { nowMs: firstMs + waitMs });
    assert.deepEqual([then.due.size, then.nextMs, then.due.get("table_0")], [groups, null, [lane]]);
  }
});

test("late groups do not make fresh rows wait longer, nor the other way round", () => {
  const waiting = tables(100, { even: since("10:05:00"), late: since("10:05:00") });
  assert.deepEqual(plan(waiting, { now: "10:19:59" }), { due: [], next: "10:20:00" });
  assert.deepEqual(plan(waiting, { now: "10:20:00" }), { due: ["even"], next: "11:05:00" });
});

test("nothing waits: nothing is due", () => {
  assert.deepEqual(plan(new Map(), { now: "10:00:00" }), { due: [], next: null });
});

test("an hour that ended is due one minute after its end, without the hour that continues", () => {
  // 300 groups wait 45 minutes.
  const rows: readonly [lane: "even" | "odd", first: string, due: string][] = [
    ["even", "10:40:00", "11:01:00"],
    ["even", "11:00:59", "11:01:00"],
    ["odd", "11:02:00", "11:47:00"],
    ["odd", "11:30:00", "12:01:00"],
    // Its producer's clock is ahead: rows of hour 12.
    ["even", "11:59:58", "12:44:58"],
    // Ingested before 11:01, and committed after it: no other such rows come before hour 12.
    ["even", "11:01:03", "11:46:03"],
  ];
  for (const [lane, first, due] of rows) {
    const waiting = tables(300, { [lane]: since(first) });
    const text = `${lane} since ${first}`;
    assert.deepEqual(plan(waiting, { now: first }), { due: [], next: due }, text);
    assert.deepEqual(plan(waiting, { now: due }), { due: [lane], next: null }, text);
  }
  const both = tables(150, { even: since("10:35:00"), odd: since("11:00:01") });
  assert.deepEqual(plan(both, { now: "11:01:00" }), { due: ["even"], next: "11:45:01" });
});

test("200 topics are settled twice an hour: in its middle, and a minute after its end", () => {
  const first = (time: string) => tables(200, { even: since(time) });
  assert.deepEqual(plan(first("10:00:02"), { now: "10:00:02" }), { due: [], next: "10:30:02" });
  // The wait ends 55 s before the hour does: one version instead of two.
  assert.deepEqual(plan(first("10:30:05"), { now: "11:00:05" }), { due: [], next: "11:01:00" });
  assert.deepEqual(plan(first("10:28:00"), { now: "10:58:00" }), { due: ["even"], next: null });
});

test("much data is due at once; late rows count apart", () => {
  const half = since("10:05:00", { size: 64 * mebibyte });
  const whole = since("10:05:00", { size: 128 * mebibyte });
  const late = since("10:05:00");
  const rows: readonly [lanes: WaitingLanes, due: readonly Lane[]][] = [
    [{ even: half, late }, []],
    [{ even: half, odd: half, late }, ["even", "odd"]],
    [{ direct: half, even: half }, ["direct", "even"]],
    [{ even: half, late: half }, []],
    [{ odd: whole }, ["odd"]],
    [{ even: since("10:05:00"), late: whole }, ["late"]],
  ];
  for (const [lanes, due] of rows)
    assert.deepEqual(
      plan(tables(1, lanes), { now: "10:05:01" }).due,
      due,
      JSON.stringify(Object.keys(lanes)),
    );
});

test("a late lane that holds much of the log is due before its wait ends", () => {
  const rows: readonly [fields: Partial<WaitingRows>, isDue: boolean][] = [
    [{ landingBytes: 4 * gibibyte }, false],
    [{ landingBytes: 4 * gibibyte + 1 }, true],
    [{ entries: 20_000 }, false],
    [{ entries: 20_001 }, true],
  ];
  for (const [fields, isDue] of rows) {
    const late = tables(1, { late: since("10:05:00", fields) });
    assert.deepEqual(plan(late, { now: "10:06:00" }).due, isDue ? ["late"] : [], JSON.stringify(fields));
    const fresh = tables(1, { even: since("10:05:00", fields) });
    assert.deepEqual(plan(fresh, { now: "10:05:01" }).due, []);
  }
});

test("table files come along with any other lane of their table", () => {
  const waiting = tables(100, { direct: since("10:25:00"), even: since("10:05:00") });
  assert.deepEqual(plan(waiting, { now: "10:35:00" }), { due: ["direct", "even"], next: null });
  assert.deepEqual(plan(waiting, { now: "10:34:59" }), { due: [], next: "10:35:00" });
});

test("lanes that hold the log, and tables that somebody asks for, are due at once", () => {
  const waiting = new Map<string, WaitingLanes>([
    ["old", { late: since("10:05:00", { first: 7 }), even: since("10:05:00", { first: 9 }) }],
    ["young", { even: since("10:05:00", { first: 20 }) }],
  ]);
  const due = (moment: Partial<PlanMoment>) =>
    Object.fromEntries(planSettle(waiting, { nowMs: at("10:05:01"), ...moment }).due);
  assert.deepEqual(due({}), {});
  assert.deepEqual(due({ heldUpTo: 6 }), {});
  assert.deepEqual(due({ heldUpTo: 7 }), { old: ["late"] });
  assert.deepEqual(due({ heldUpTo: 9 }), { old: ["even", "late"] });
  assert.deepEqual(due({ asked: new Set(["young"]) }), { young: ["even"] });
  assert.deepEqual(due({ asked: "all" }), { old: ["even", "late"], young: ["even"] });
});

test("rows of an unknown time, or of a clock that was far ahead, do not wait", () => {
  for (const [firstMs, isDue] of [
    [null, true],
    [at("10:05:09"), false],
    [at("10:05:30"), true],
    [at("10:05:00") + 365 * 24 * hourMs, true],
  ] as const) {
    const waiting = tables(1, { even: { ...since("10:05:00"), firstMs } });
    assert.deepEqual(plan(waiting, { now: "10:05:00" }).due, isDue ? ["even"] : [], String(firstMs));
  }
});
