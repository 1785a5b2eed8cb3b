import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { LakeCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import { vacuum } from "../../../../../bridge/lake/upkeep/vacuum.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";
import { jsonCheckpoints } from "../../../../support/json-lake.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

const hourMs = 3_600_000;

/** Another process's vacuum over the same lake. */
function vacuumOf({ store, clock }: ConsumerHarness) {
  const other = new MemoryObjectStore({ objects: store.objects, now: () => clock.nowMs });
  return vacuum({
    store: other,
    commitLog: new LakeCommitLog(other, "lake", { create: true }),
    topics: { definitions: () => [{ ...topicVersion() }], longestWindowMs: () => hourMs },
    logger: pino({ level: "silent" }),
    checkpoints: jsonCheckpoints(other),
  });
}

for (const [name, seesTime] of [
  ["on a machine that stood still as long", false],
  ["whose clock of elapsed time shows it", true],
] as const)
  test(`a consumer ${name} that stalls for 25 h before its entry, while vacuum runs, files everything once`, async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a"), json("b")]);
    let stalledMs = 0;
    harness.storeFault = async (operation, path) => {
      if (operation !== "putIfAbsent" || !path.startsWith("_commits/") || stalledMs > 0) return null;
      stalledMs = 25 * hourMs;
      harness.clock.nowMs += stalledMs;
      assert.equal((await vacuumOf(harness)).orphans, 1);
      return null;
    };
    const elapsedMs = () => harness.clock.nowMs - (seesTime ? 0 : stalledMs);
    const consumer = await harness.drain({ elapsedMs });
    assert.equal(stalledMs, 25 * hourMs);
    assert.deepEqual(harness.ids(), ["a", "b"]);
    assert.equal(consumer.status().replayedBatches, 1);
    const fenced = harness.registry.getSingleMetric("tidegate_consumer_fenced_batches_total");
    assert.equal((await fenced?.get())?.values[0]?.value, seesTime ? 0 : 1);
  });

test("a consumer whose entry is before the fence keeps its files", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  let fences = 0;
  harness.storeFault = async (operation, path) => {
    if (operation !== "putIfAbsent" || !path.includes("_delta_log") || fences > 0) return null;
    fences += 1;
    harness.clock.nowMs += 25 * hourMs;
    assert.equal((await vacuumOf(harness)).orphans, 0);
    return null;
  };
  const consumer = await harness.drain();
  assert.equal(fences, 1);
  assert.deepEqual(harness.ids(), ["a"]);
  assert.equal(consumer.status().replayedBatches, 0);
});
