import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimulationResult } from "./run-simulation.ts";
import { SimulationProcess } from "./simulation-process.ts";

// SEED=7 replays one run with its trace; RUNS=20000 runs more; FIRST=1 begins at another seed than the drawn
// one.
const replayed = process.env["SEED"];
const runs = replayed ? 1 : Number(process.env["RUNS"] ?? 1000);
const first = Number(replayed ?? process.env["FIRST"] ?? Math.floor(Math.random() * 1e9));

function assertNoViolation(seed: number, { violations, trace }: SimulationResult): void {
  if (violations.length === 0) return;
  const found = violations.slice(0, 10).map(({ rule, detail }) => `  ${rule}: ${detail}`);
  const last = replayed ? `\n${trace.join("\n")}` : `\nreplay with SEED=${seed}`;
  assert.fail(`seed ${seed} breaks the protocol:\n${found.join("\n")}${last}`);
}

test(`crashes, pauses, failures, several owners of a partition and a lost or rolled-back window lose and duplicate nothing (${runs} runs from seed ${first})`, async (context) => {
  const totals = {
    steps: 0,
    processes: 0,
    ownerships: 0,
    divisions: 0,
    commits: 0,
    messages: 0,
    fences: 0,
    pruned: 0,
    pastPartitions: 0,
    lateEntries: 0,
    conflicts: 0,
    foreignVacuums: 0,
    followed: 0,
    skipped: 0,
    landed: 0,
    settled: 0,
    queries: 0,
  };
  await using simulations = new SimulationProcess();
  for (let seed = first; seed < first + runs; seed++) {
    const result = await simulations.run({ seed });
    assertNoViolation(seed, result);
    for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += result.facts[name];
  }
  context.diagnostic(JSON.stringify(totals));
  if (runs < 1000) return;
  assert.ok(totals.processes > runs, "processes died and were started again");
  assert.ok(totals.ownerships > runs, "partitions changed hands");
  assert.ok(totals.divisions > runs, "partitions were divided");
  assert.ok(totals.commits > 10 * runs, "batches were committed");
  assert.ok(totals.fences > runs / 4, "vacuum found files that no commit took");
  assert.ok(totals.pruned > runs, "entries were given up");
  assert.ok(totals.pastPartitions > runs / 4, "partitions were given up");
  assert.ok(totals.conflicts > runs, "another writer forbade our rows");
  assert.ok(totals.foreignVacuums > runs / 10, "another writer deleted files that it had replaced");
  assert.ok(totals.followed > 30 * runs, "followers were given rows");
  assert.ok(totals.skipped > runs / 100, "followers were too far behind");
  assert.ok(totals.landed > 2 * runs, "rows landed");
  assert.ok(totals.settled > runs / 5, "landed rows were settled");
  assert.ok(totals.queries > runs / 5, "tables were queried");
});
