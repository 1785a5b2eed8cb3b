import assert from "node:assert/strict";
import { test } from "node:test";
import type { DedupWindow } from "../../../../../bridge/lake/window/dedup-window.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";

const partitionCount = 4;

async function filedHarness(): Promise<ConsumerHarness> {
  const harness = new ConsumerHarness({ partitionCount });
  for (let commit = 0; commit < 3; commit++) {
    for (let partition = 0; partition < partitionCount; partition++)
      harness.append([json(`${commit}-${partition}`)], { partition });
    await harness.drain();
  }
  return harness;
}

const dataFileReads = (harness: ConsumerHarness, reads: Map<string, number>) => {
  harness.storeFault = (operation, path) => {
    if (operation === "get" && /event_hour=.*\.parquet$/.test(path))
      reads.set(path, (reads.get(path) ?? 0) + 1);
    return null;
  };
};

test("lost windows of many partitions are seeded from one read of each file", async () => {
  const harness = await filedHarness();
  harness.window = createMemoryWindow({ maxBytes: 2 ** 26, partitionCount });
  const reads = new Map<string, number>();
  dataFileReads(harness, reads);
  for (let partition = 0; partition < partitionCount; partition++)
    harness.append(
      [0, 1, 2].map((commit) => json(`${commit}-${partition}`)),
      {
        partition,
        producerId: "0000000000000002",
      },
    );
  await harness.drain();
  const seeded = harness.log.filter(({ event }) => event === "consumer.window.seeded").slice(partitionCount);
  assert.deepEqual(
    seeded.map(({ partition, ids }) => [partition, ids]),
    Array.from({ length: partitionCount }, (_, partition) => [partition, 3]),
    "none is given what belongs to another",
  );
  assert.equal(reads.size, 3);
  assert.deepEqual([...reads.values()], [1, 1, 1]);
  for (let partition = 0; partition < partitionCount; partition++)
    assert.deepEqual(
      [harness.lastMove(partition)?.counters.filed, harness.lastMove(partition)?.counters.duplicates],
      [3, 3],
      "every window knows its own partition's ids",
    );
});

test("a window that another process seeds meanwhile is left to it, and the others are kept", async () => {
  const harness = await filedHarness();
  const window = createMemoryWindow({ maxBytes: 2 ** 26, partitionCount });
  const { seed } = window;
  let isIntruded = false;
  const intruded: DedupWindow["seed"] = async (partition, ...rest) => {
    if (partition === 2 && !isIntruded) {
      isIntruded = true;
      await window.beginSeed(partition, "somebody else's");
    }
    return seed.call(window, partition, ...rest);
  };
  harness.window = Object.assign(window, { seed: intruded });
  await harness.drain();
  const seeded = harness.log.filter(({ event }) => event === "consumer.window.seeded").slice(partitionCount);
  assert.deepEqual(
    seeded.map(({ partition }) => partition),
    [0, 1, 3, 2],
  );
});

test("status and metrics show the progress of seeding, and the backlog meanwhile", async () => {
  const harness = await filedHarness();
  harness.window = createMemoryWindow({ maxBytes: 2 ** 26, partitionCount });
  harness.append([json("waits")]);
  harness.registry.clear();
  let reads = 0;
  let goOn: () => void = () => {};
  harness.storeFault = (operation, path) => {
    if (operation !== "get" || !/event_hour=.*\.parquet$/.test(path) || ++reads < 3) return null;
    return new Promise((resolve) => {
      goOn = () => resolve(null);
    });
  };
  const consumer = harness.consumer();
  const run = consumer.run();
  while (reads < 3) await new Promise((resolve) => setImmediate(resolve));
  const { state, recovery, partitions } = await consumer.lookedUp();
  assert.deepEqual(
    [state, recovery?.step, recovery?.seeding],
    ["recovering", "seeding", { files: 2, filesTotal: 3, ids: 8 }],
  );
  assert(partitions.every((partition) => partition.state === "recovering"));
  assert.notEqual(partitions[0]?.lagBytes, 0);
  const metrics = await harness.registry.metrics();
  assert.match(metrics, /tidegate_consumer_recovering 1/);
  assert.match(metrics, /tidegate_consumer_seeding_files 2\n/);
  assert.match(metrics, /tidegate_consumer_seeding_files_wanted 3/);
  harness.storeFault = () => null;
  goOn();
  await consumer.stop({ drain: true });
  await run;
  assert.equal(consumer.status().recovery, null);
  assert.match(await harness.registry.metrics(), /tidegate_consumer_recovering 0/);
});
