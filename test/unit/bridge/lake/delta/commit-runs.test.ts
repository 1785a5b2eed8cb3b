import assert from "node:assert/strict";
import { test } from "node:test";
import { type BroughtRows, CommitRuns } from "../../../../../bridge/lake/delta/commit-runs.ts";

/** A commit is made each 100 ms, and brings ten rows. */
function brought(commit: number, fields: Partial<BroughtRows> = {}): BroughtRows {
  return { committedAtMs: commit * 100, rows: 10, size: 1_000, landingBytes: 500, ...fields };
}

function runsOf(commits: readonly number[], max?: number): CommitRuns {
  const runs = new CommitRuns(max);
  for (const commit of commits) runs.add(commit, brought(commit));
  return runs;
}

test("commits are known in order, with their sum and the time of the oldest", () => {
  const runs = runsOf([3, 4, 5, 9]);
  assert.deepEqual([...runs.after(0)], [3, 4, 5, 9]);
  assert.deepEqual([...runs.after(4)], [5, 9]);
  assert.deepEqual(runs.sumAfter(0), { first: 3, firstMs: 300, rows: 40, size: 4_000, landingBytes: 2_000 });
  assert.deepEqual(runs.sumAfter(4), { first: 5, firstMs: 500, rows: 20, size: 2_000, landingBytes: 1_000 });
  assert.deepEqual(runs.sumAfter(8), { first: 9, firstMs: 900, rows: 10, size: 1_000, landingBytes: 500 });
  assert.equal(runs.sumAfter(9), null);
});

test("commits that are dropped are gone, also in the middle of a run", () => {
  const runs = runsOf([3, 4, 5, 9]);
  assert.deepEqual([runs.dropTo(2), runs.dropTo(4), [...runs.after(0)]], [0, 4, [5, 9]]);
  assert.deepEqual(runs.sumAfter(0)?.rows, 20);
  assert.deepEqual([runs.dropTo(8), [...runs.after(0)], runs.isEmpty], [5, [9], false]);
  assert.deepEqual([runs.dropTo(100), runs.isEmpty, runs.dropTo(200)], [9, true, 0]);
  runs.add(201, brought(201));
  assert.deepEqual([...runs.after(0)], [201]);
});

test("above its bound, the closest runs become one, which misses none of their commits", () => {
  const commits = [1, 10, 12, 30, 50, 80, 83];
  const runs = runsOf(commits, 5);
  assert.deepEqual([...runs.after(0)], [1, 10, 11, 12, 30, 50, 80, 81, 82, 83]);
  assert.deepEqual(runs.sumAfter(0), { first: 1, firstMs: 100, rows: 70, size: 7_000, landingBytes: 3_500 });
  runs.dropTo(10);
  assert.deepEqual(runs.sumAfter(0)?.first, 11);
});

test("a hundred thousand commits in a row, and as many with gaps, need few runs", () => {
  for (const step of [1, 7]) {
    const runs = runsOf(Array.from({ length: 100_000 }, (_, index) => index * step + 1));
    assert.equal(runs.sumAfter(0)?.rows, 1_000_000);
    const numbers = new Set(runs.after(0));
    for (let index = 0; index < 100_000; index++) assert.ok(numbers.has(index * step + 1));
  }
});
