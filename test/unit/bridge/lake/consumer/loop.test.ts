import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConsumerHarness, json, startMs } from "../../../../support/consumer-harness.ts";

const hourMs = 3_600_000;

async function until(isReached: () => boolean): Promise<void> {
  for (let turns = 0; !isReached(); turns++) {
    assert.ok(turns < 5000, "never reached");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a batch is cut", () => {
  const commitsOf = async (changes: Parameters<ConsumerHarness["consumer"]>[0], blocks = 4) => {
    const harness = new ConsumerHarness();
    for (let block = 0; block < blocks; block++) harness.append([json(`a${block}`)]);
    await harness.drain(changes);
    assert.equal(harness.ids().length, blocks);
    return harness.commits().length;
  };

  test("when the stream is drained", async () => assert.equal(await commitsOf({}), 1));

  test("at its size, between blocks", async () => {
    assert.equal(await commitsOf({ config: { maxBatchBytes: 200, readMaxEntries: 1 } }), 2);
    assert.equal(await commitsOf({ config: { maxBatchBytes: 1, readMaxEntries: 1 } }), 4);
  });

  test("early under stream pressure, but not for each run of blocks", async () => {
    assert.equal(await commitsOf({ isUnderPressure: () => true, config: { readMaxEntries: 1 } }), 1);
    const harness = new ConsumerHarness();
    const consumer = harness.consumer({ isUnderPressure: () => true });
    const run = consumer.run();
    harness.append([json("a")]);
    await until(() => harness.commits().length === 1);
    const ageMs = harness.clock.nowMs - (harness.rows()[0]?.ingestTimeMs ?? 0);
    assert.ok(ageMs >= 250 && ageMs <= 1500, `${ageMs} ms`);
    await consumer.stop({ drain: true });
    await run;
  });

  test("at its age, counted from its first block", async () => {
    const harness = new ConsumerHarness();
    const consumer = harness.consumer({ config: { maxBatchAgeMs: 5000 } });
    const run = consumer.run();
    harness.append([json("a")]);
    await until(() => harness.commits().length === 1);
    const ageMs = harness.clock.nowMs - (harness.rows()[0]?.ingestTimeMs ?? 0);
    assert.ok(ageMs >= 5000 && ageMs <= 7000, `${ageMs} ms`);
    await consumer.stop({ drain: true });
    await run;
  });

  test("at its maximum age although the clock was set back", async () => {
    const harness = new ConsumerHarness();
    let offMs = 0;
    const now = () => harness.clock.nowMs + offMs;
    const consumer = harness.consumer({ config: { maxBatchAgeMs: 5000 }, now });
    const run = consumer.run();
    harness.append([json("a")]);
    await until(() => Boolean(consumer.status().partitions[0]?.position));
    offMs = -24 * hourMs;
    await until(() => harness.commits().length === 1);
    await consumer.stop({ drain: true });
    await run;
  });
});

test("partitions take turns: a long one does not delay the others", async () => {
  const harness = new ConsumerHarness({ partitionCount: 3 });
  for (let block = 0; block < 50; block++) harness.append([json(`a${block}`)], { partition: 0 });
  for (const partition of [1, 2]) harness.append([json(`b${partition}`)], { partition });
  await harness.drain({ config: { maxBatchBytes: 1, readMaxEntries: 1 } });
  const first = harness.rows().filter(({ commit }) => commit <= 3);
  assert.deepEqual(new Set(first.map(({ partition }) => partition)), new Set([0, 1, 2]));
});

test("blocks that keep coming are read together, and state is checked meanwhile", async () => {
  const harness = new ConsumerHarness();
  const blockEveryMs = 5;
  let [appended, reads, looks] = [0, 0, 0];
  const append = () => harness.append([json(`m${appended++}`)]);
  // So every read finds something.
  harness.stream.faults.beforeRead = async () => {
    reads += 1;
    append();
  };
  const handle = harness.stream.open();
  const { partitionState } = handle;
  const stream = Object.assign(handle, {
    partitionState: (partition: number) => {
      looks += 1;
      return partitionState.call(handle, partition);
    },
  });
  const sleep = async (delayMs: number) => {
    for (let ms = 0; ms < delayMs; ms += blockEveryMs) append();
    harness.clock.nowMs += delayMs;
    await new Promise((resolve) => setImmediate(resolve));
  };
  const consumer = harness.consumer({ stream, sleep, config: { maxBatchAgeMs: hourMs } });
  const run = consumer.run();
  await until(() => reads >= 25);
  assert.ok(appended / reads >= 40, `${appended} blocks in ${reads} reads`);
  assert.ok(looks >= 4, `lag was looked at ${looks} times in 5 s`);
  await consumer.stop({ drain: true });
  await run;
  assert.equal(new Set(harness.ids()).size, harness.ids().length);
});

test("a backlog is read without a pause", async () => {
  for (const config of [{ readMaxEntries: 10 }, { readMaxBytes: 1000 }]) {
    const harness = new ConsumerHarness();
    for (let block = 0; block < 100; block++) harness.append([json(`a${block}`)]);
    const last = harness.append([json("last")]);
    const consumer = harness.consumer({ config });
    const run = consumer.run();
    await until(() => consumer.status().partitions[0]?.position === last);
    assert.ok(harness.waits <= 1, `${harness.waits} waits`);
    await consumer.stop({ drain: true });
    await run;
    assert.equal(harness.ids().length, 101);
  }
});

test("stopping without draining leaves the open batch to the next process", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  const consumer = harness.consumer({ config: { maxBatchAgeMs: 1e9 } });
  const run = consumer.run();
  await until(() => Boolean(consumer.status().partitions[0]?.position));
  await consumer.stop({ drain: false });
  await run;
  assert.deepEqual([harness.commits().length, consumer.status().replayedBatches], [0, 1]);
  await harness.drain();
  assert.deepEqual(harness.ids(), ["a"]);
});

for (const failed of ["put", "putIfAbsent"] as const)
  test(`a drain that cannot end, because ${failed} fails, is ended by a stop without draining`, async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    harness.storeFault = (operation) => (operation === failed ? "before" : null);
    const consumer = harness.consumer();
    const run = consumer.run();
    const drained = consumer.stop({ drain: true });
    await until(() => harness.waits > 5);
    await consumer.stop({ drain: false });
    await drained;
    await run;
    assert.equal(consumer.status().state, "stopped");
    assert.ok(harness.clock.nowMs - startMs < hourMs, "it did not go on until the batch was stale");
  });

test("a drain ends at the stream's end at its start, although others append for ever", async () => {
  const harness = new ConsumerHarness({ partitionCount: 2 });
  for (const partition of [0, 1]) harness.append([json(`a${partition}`)], { partition });
  let later = 0;
  harness.stream.faults.beforeRead = async (partition) => {
    if (later < 200) harness.append([json(`later${later++}`)], { partition });
  };
  const consumer = await harness.drain();
  const ids = harness.ids();
  assert.ok(ids.includes("a0") && ids.includes("a1"));
  assert.ok(later < 20, `${later} reads`);
  assert.equal(consumer.status().replayedBatches, 0, "what was read is committed");
});

test("a partition's lag is the age of its blocks, although the clock of the stream's server was days ahead", async () => {
  const harness = new ConsumerHarness();
  harness.appendOffMs = 10 * 24 * hourMs;
  harness.append([json("a")]);
  harness.clock.nowMs += 60_000;
  harness.storeFault = (operation) => (operation === "put" ? "before" : null);
  const consumer = harness.consumer();
  const run = consumer.run();
  await until(() => consumer.status().replayedBatches > 0 && consumer.status().state === "backing-off");
  assert.ok((consumer.status().partitions[0]?.lagMs ?? 0) >= 60_000);
  await consumer.stop({ drain: false });
  await run;
});

test("status shows the lag of each partition, and the metrics the outcomes of its messages", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a"), json("a"), {}]);
  await harness.drain();
  const metrics = await harness.registry.metrics();
  assert.match(metrics, /tidegate_consumer_messages_total\{partition="0",outcome="filed"\} 1/);
  assert.match(metrics, /tidegate_consumer_messages_total\{partition="0",outcome="duplicates"\} 1/);
  assert.match(metrics, /tidegate_consumer_quarantined_total\{reason="payload-undecodable"\} 1/);
  harness.append([json("b")]);
  harness.clock.nowMs += 60_000;
  harness.storeFault = (operation) => (operation === "put" ? "before" : null);
  harness.registry.clear();
  const consumer = harness.consumer();
  const run = consumer.run();
  await until(() => consumer.status().replayedBatches > 0 && consumer.status().state === "backing-off");
  const [partition] = consumer.status().partitions;
  assert.ok((partition?.lagMs ?? 0) >= 60_000);
  assert.ok((partition?.lagBytes ?? 0) > 0);
  await consumer.stop({ drain: false });
  await run;
});

test("acknowledged but uncommitted messages are reported: in the open batch, or unread", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a"), json("b")]);
  const consumer = harness.consumer({ config: { maxBatchAgeMs: 600_000 } });
  const run = consumer.run();
  await until(() => consumer.status().partitions[0]?.openMessages === 2);
  const [read] = (await consumer.lookedUp()).partitions;
  assert.deepEqual([read?.counters.read, read?.lagBytes, read?.askedForMs], [0, 0, 0]);
  // As at an address of the stream that the loop has not asked since.
  harness.append([json("c")]);
  assert.notEqual((await consumer.lookedUp()).partitions[0]?.lagBytes, 0);
  await consumer.stop({ drain: true });
  await run;
  const [filed] = consumer.status().partitions;
  assert.deepEqual([filed?.counters.read, filed?.openMessages], [3, 0]);
});
