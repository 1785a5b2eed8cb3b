import assert from "node:assert/strict";
import { test } from "node:test";
import { noCommits } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { HeldLanding, type Judge } from "../../../../../bridge/lake/upkeep/held-landing.ts";
import type { LandingHold, LandingNeeds } from "../../../../../bridge/lake/upkeep/landing-holds.ts";

const rows = (table: string): LandingHold => ({ by: "rows", table, lane: "even" });
const seeding = (untilMs: number): LandingHold => ({ by: "seeding", partition: "s/0", untilMs });

function needs(settled: number, sinceMs = 0): LandingNeeds {
  return {
    settled: new Map([["a", { ...noCommits, even: settled }]]),
    seededSince: new Map([["s/0", sinceMs]]),
    followedFrom: Number.POSITIVE_INFINITY,
  };
}

/** Judges by a list of holds, and notes which entries it was asked for. */
function judging(holdOf: (number: number) => LandingHold | null) {
  const asked: number[] = [];
  const judge: Judge = async (numbers) => {
    asked.push(...numbers);
    return numbers.map((number) => ({ number, hold: holdOf(number) }));
  };
  return { asked, judge };
}

const plenty = () => ({ left: 1e9 });

test("a table that shows nothing for long costs one run, and each entry is read again once it is shown", async () => {
  const held = new HeldLanding();
  const { asked, judge } = judging((number) => (number > 40_000 ? rows("a") : null));
  await held.read({ first: 1, end: 100_001 }, plenty(), judging(() => rows("a")).judge);
  assert.deepEqual([held.runs, held.files], [1, 100_000]);
  await held.review(needs(0), 1, plenty(), judge);
  assert.deepEqual(asked, []);
  await held.review(needs(40_000), 1, plenty(), judge);
  assert.deepEqual([asked.length, asked.at(-1), held.runs, held.files], [40_000, 40_000, 1, 60_000]);
});

test("entries that wait for seeding share a run of at most 16, which waits for its last one", async () => {
  const held = new HeldLanding();
  await held.read({ first: 1, end: 41 }, plenty(), judging((number) => seeding(number)).judge);
  assert.deepEqual([held.runs, held.files], [3, 40]);
  const { asked, judge } = judging(() => null);
  await held.review(needs(0, 20), 1, plenty(), judge);
  assert.deepEqual([asked.at(-1), held.files], [16, 24]);
});

test("a budget ends a review where the next one goes on; given-up entries are forgotten, and a failure loses none", async () => {
  const held = new HeldLanding();
  const { asked, judge } = judging(() => null);
  await held.read(
    { first: 1, end: 101 },
    plenty(),
    judging((number) => rows(number % 40 < 20 ? "a" : "b")).judge,
  );
  assert.equal(held.runs, 6);
  const budget = { left: 30 };
  await held.review(needs(100), 11, budget, judge);
  assert.deepEqual([asked[0], asked.length, budget.left], [11, 30, 0]);
  const failing: Judge = async () => Promise.reject(new Error("down"));
  const { files } = held;
  await assert.rejects(held.review(needs(100), 11, plenty(), failing), /down/);
  assert.equal(held.files, files);
  await held.review(needs(100), 11, plenty(), judge);
  assert.deepEqual([new Set(asked).size, asked.length], [49, 49]);
  assert.deepEqual(await held.read({ first: 101, end: 200 }, { left: 10 }, judge), 111);
});
