import assert from "node:assert/strict";
import { test } from "node:test";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { partitionKey } from "../../../../../bridge/streams/partition-key.ts";
import type { ConsumerHarness } from "../../../../support/consumer-harness.ts";
import { devicesOf, divisible, from } from "../../../../support/divisible-stream.ts";
import { MovingLeases } from "../../../../support/moving-leases.ts";

test("a process that does not know of a division yet still knows the partition's earlier messages, and soon its parents", async () => {
  const harness = divisible();
  const outdated = harness.stream.open();
  const waitForAppend = async () => {
    harness.clock.nowMs += 50;
    await new Promise((resolve) => setImmediate(resolve));
  };
  harness.stream.split(0);
  const [left = ""] = devicesOf(harness, [1]);
  harness.append([from(left, "a")]);
  harness.append([from(left, "b")], { partition: 1 });
  await harness.drain();
  // The window is lost, and its seeding knows partition 1 only from the lake.
  harness.window = createMemoryWindow({ maxBytes: 2 ** 26, partitionCount: 1 });
  harness.append([from(left, "a"), from(left, "c")], { partition: 1 });
  // Claims that a block of partition 0 was acknowledged that no one has read.
  const claim = { partition: 0, lastAcknowledgedSequence: 2, acknowledgedMessages: 2, landsIn: 1 };
  harness.append([from(left, "d")], { ...claim, sequence: 3 });
  assert.equal(outdated.partitions.all.length, 1);
  const config = { readMaxEntries: 1, maxBatchBytes: 1 };
  // No other lease makes it start over.
  const leases = new MovingLeases(3);
  leases.give([1]);
  const stream = Object.assign(outdated, { waitForAppend });
  const consumer = await harness.drain({ stream, config, leases });
  assert.deepEqual(harness.ids(), ["a", "b", "c"]);
  assert.equal(consumer.status().partitions[0]?.halt?.code, "STREAM_GAP");
});

/**
 * A process that listed the partitions before two were merged. Another process, which reads nothing, recorded
 * the new one in the lake.
 */
async function outdatedHandle(harness: ConsumerHarness) {
  const outdated = harness.stream.open();
  const [device = ""] = devicesOf(harness, [0]);
  harness.append([from(device, "a")]);
  harness.stream.merge(0, 1);
  harness.append([from(device, "a"), from(device, "b")], { partition: 2 });
  await harness.drain({ leases: new MovingLeases(3) });
  assert.equal(harness.lastMove(2)?.to, "");
  const waitForAppend = async () => {
    harness.clock.nowMs += 50;
    await new Promise((resolve) => setImmediate(resolve));
  };
  return Object.assign(outdated, { waitForAppend, retentionMs: 24 * 3_600_000 });
}

test("a partition that the lake knew before this process is read after its parents, with their ids and their time", async () => {
  const harness = divisible(2);
  const stream = await outdatedHandle(harness);
  assert.equal(stream.partitions.all.length, 2);
  await harness.drain({ stream });
  assert.deepEqual(harness.ids(), ["a", "b"]);
  assert.ok(partitionKey(harness.stream.streamId, 0) in (harness.lastMove(2)?.shifts ?? {}));
});

test("while the stream cannot be asked for a partition that the lake knows, the others are read", async () => {
  const harness = divisible(2);
  const stream = await outdatedHandle(harness);
  const { partitions } = stream;
  const busy = new BridgeError("STREAM_TIMEOUT", "no answer", { retryable: true });
  Object.assign(stream, { refreshPartitions: () => Promise.reject(busy) });
  Object.defineProperty(stream, "partitions", { get: () => partitions, set: () => {} });
  await harness.drain({ stream });
  assert.deepEqual(harness.ids(), ["a"]);
  const told = harness.log.filter(({ event }) => event === "consumer.partitions.unheard");
  assert.deepEqual([told[0]?.["partitions"], told[0]?.["code"]], [[2], "STREAM_TIMEOUT"]);
  await harness.drain();
  assert.deepEqual(harness.ids(), ["a", "b"]);
});
