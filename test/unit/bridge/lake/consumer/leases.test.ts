import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";
import { JsonBatchWriter } from "../../../../support/json-lake.ts";
import { MovingLeases } from "../../../../support/moving-leases.ts";

type Changes = NonNullable<Parameters<ConsumerHarness["consumer"]>[0]>;

async function until(isReached: () => boolean): Promise<void> {
  for (let turns = 0; !isReached(); turns++) {
    assert.ok(turns < 5000, "never reached");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Three partitions with one block each: m0, m1, m2. */
function threePartitions(): ConsumerHarness {
  const harness = new ConsumerHarness({ partitionCount: 3 });
  for (const partition of [0, 1, 2]) harness.append([json(`m${partition}`)], { partition });
  return harness;
}

/** The consumer has its partitions, and has read from each. */
function isReading({ consumer }: ReturnType<typeof started>): boolean {
  const { partitions } = consumer.status();
  return partitions.length > 0 && partitions.every(({ openBytes }) => openBytes > 0);
}

function started(harness: ConsumerHarness, owned: readonly number[], changes: Changes = {}) {
  const leases = new MovingLeases(3);
  leases.give(owned);
  const consumer = harness.consumer({ leases, registry: new Registry(), ...changes });
  return { leases, consumer, run: consumer.run() };
}

/** Batches never become due by age. */
const patient: Changes = { config: { maxBatchAgeMs: 1e9 } };
const partitionsOf = ({ consumer }: ReturnType<typeof started>) =>
  consumer.status().partitions.map(({ partition }) => partition);

async function stopped({ consumer, run }: ReturnType<typeof started>, drain = true): Promise<void> {
  await consumer.stop({ drain });
  await run;
}

test("only owned partitions are read, filed and reported; the lease table names the owners of the others", async () => {
  const harness = threePartitions();
  const registry = new Registry();
  const one = started(harness, [2], { registry });
  one.leases.ownedBy(0, "other-host");
  await until(() => harness.commits().length === 1);
  assert.deepEqual(harness.ids(), ["m2"]);
  assert.deepEqual(partitionsOf(one), [2]);
  const { leases } = one.consumer.status();
  assert.deepEqual(
    leases.partitions.map(({ owner }) => owner),
    ["other-host", null, "me"],
  );
  const metrics = await registry.metrics();
  assert.match(metrics, /tidegate_consumer_partitions_owned 1/);
  assert.doesNotMatch(metrics, /tidegate_consumer_lag_ms\{partition="[01]"\}/);
  await stopped(one);
  assert.equal(one.leases.closedAs, "leaving");
  assert.deepEqual(harness.ids(), ["m2"]);
});

test("a partition that another process wants is committed, then released; the others continue", async () => {
  const harness = threePartitions();
  const registry = new Registry();
  const one = started(harness, [0, 1], { ...patient, registry });
  await until(() => isReading(one));
  assert.deepEqual(harness.commits(), []);
  one.leases.call(1);
  await until(() => one.leases.released.length > 0);
  assert.deepEqual(harness.ids().toSorted(), ["m0", "m1"]);
  assert.deepEqual(one.leases.released, [1]);
  await until(() => one.consumer.status().state === "running");
  assert.deepEqual(partitionsOf(one), [0]);
  assert.doesNotMatch(await registry.metrics(), /tidegate_consumer_lag_ms\{partition="1"\}/);
  harness.append([json("later")], { partition: 0 });
  harness.append([json("not mine")], { partition: 1 });
  await stopped(one);
  assert.ok(harness.ids().includes("later"));
  assert.ok(!harness.ids().includes("not mine"));
  assert.equal(one.consumer.status().replayedBatches, 0);
});

test("a new partition is read from its former owner's committed position", async () => {
  const harness = threePartitions();
  const former = started(harness, [0, 1, 2]);
  await until(() => harness.ids().length === 3);
  const next = started(harness, []);
  await until(() => next.consumer.status().state === "running");
  former.leases.call(1);
  await until(() => former.leases.released.length > 0);
  next.leases.give([1]);
  harness.append([json("m1"), json("fresh")], { partition: 1 });
  await until(() => harness.ids().includes("fresh"));
  await stopped(next);
  await stopped(former);
  assert.equal(harness.ids().filter((id) => id === "m1").length, 1, "its window was brought along");
  assert.deepEqual([harness.lastMove(1)?.counters.read, harness.lastMove(1)?.counters.duplicates], [3, 1]);
});

test("without a partition the consumer idles, ignores appends, and is healthy", async () => {
  const harness = threePartitions();
  let reads = 0;
  harness.stream.faults.beforeRead = async () => {
    reads += 1;
  };
  const idle = started(harness, []);
  await until(() => idle.consumer.status().state === "running");
  const waitsBefore = harness.waits;
  const msBefore = harness.clock.nowMs;
  await until(() => harness.waits >= waitsBefore + 10);
  assert.ok(harness.clock.nowMs - msBefore >= 10_000, "it waits a second each time");
  assert.deepEqual([reads, partitionsOf(idle), idle.consumer.status().lastFailure], [0, [], null]);
  await stopped(idle);
});

test("unread blocks of a halted partition do not keep the consumer awake", async () => {
  const harness = threePartitions();
  const lost = harness.append([json("lost")], { partition: 0 });
  harness.append([json("behind")], { partition: 0 });
  harness.stream.loseEntry(0, lost);
  const asked: (readonly number[] | undefined)[] = [];
  const handle = harness.stream.open();
  const waitForAppend = async (timeoutMs: number, partitions?: readonly number[]) => {
    asked.push(partitions);
    harness.clock.nowMs += timeoutMs;
    await new Promise((resolve) => setImmediate(resolve));
  };
  const one = started(harness, [0, 1], { stream: Object.assign(handle, { waitForAppend }) });
  await until(() => one.consumer.status().partitions[0]?.state === "stopped" && asked.length > 3);
  assert.deepEqual(asked.at(-1), [1]);
  one.leases.give([0]);
  const before = asked.length;
  const waits = harness.waits;
  await until(() => harness.waits > waits + 3);
  assert.ok(asked.length - before <= 1, "with nothing to read it does not ask the stream");
  await stopped(one);
});

test("a batch whose lease ran out is tried once, because the append compares positions", async () => {
  const harness = threePartitions();
  const one = started(harness, [0, 1], patient);
  await until(() => isReading(one));
  one.leases.give([0]);
  await until(() => harness.commits().length === 1);
  assert.deepEqual(harness.ids().toSorted(), ["m0", "m1"]);
  await stopped(one);
});

test("a batch whose lease ran out is not retried while the store fails", async () => {
  const harness = threePartitions();
  const one = started(harness, [0, 1], patient);
  await until(() => isReading(one));
  harness.storeFault = (operation) => (operation === "putIfAbsent" ? "before" : null);
  one.leases.give([0]);
  await until(() => one.consumer.status().replayedBatches === 1);
  assert.deepEqual(harness.commits(), []);
  harness.storeFault = () => null;
  await stopped(one);
  assert.deepEqual(harness.ids(), ["m0"], "what it lost is another one's");
});

test("a batch whose partition was taken and given back is not retried while the store fails", async () => {
  const harness = threePartitions();
  const one = started(harness, [0], patient);
  await until(() => isReading(one));
  harness.storeFault = (operation) => (operation === "putIfAbsent" ? "before" : null);
  one.leases.renew(0);
  await until(() => one.consumer.status().replayedBatches === 1);
  assert.deepEqual(harness.commits(), []);
  harness.storeFault = () => null;
  await stopped(one);
  assert.deepEqual(harness.ids(), ["m0"]);
});

test("a wanted batch that cannot be committed holds no one up once its lease ends", async () => {
  const harness = threePartitions();
  const one = started(harness, [0, 1], patient);
  await until(() => isReading(one));
  harness.storeFault = (operation) => (operation === "putIfAbsent" ? "before" : null);
  one.leases.call(1);
  const waits = harness.waits;
  await until(() => harness.waits > waits + 20);
  assert.deepEqual(one.leases.released, [], "it still tries to commit");
  one.leases.give([0]);
  await until(() => one.consumer.status().replayedBatches === 1);
  harness.storeFault = () => null;
  await stopped(one);
  assert.deepEqual(harness.ids(), ["m0"]);
});

test("a partition with a new token may have had another owner: the batch ends, and the log is read", async () => {
  const harness = threePartitions();
  const one = started(harness, [0], patient);
  await until(() => Boolean(one.consumer.status().partitions[0]?.position));
  one.leases.renew(0);
  await until(() => harness.commits().length === 1);
  await until(() => one.consumer.status().state === "running");
  assert.deepEqual(partitionsOf(one), [0]);
  await stopped(one);
});

test("a partition that was lost and given back is read again from the committed position", async () => {
  const harness = threePartitions();
  const paused = started(harness, [0], patient);
  await until(() => Boolean(paused.consumer.status().partitions[0]?.position));
  await harness.drain({ leases: ownsOnly(0) });
  paused.leases.renew(0);
  harness.append([json("after")], { partition: 0 });
  await until(() => paused.consumer.status().replayedBatches === 1);
  await stopped(paused);
  assert.deepEqual(harness.ids(), ["m0", "after"]);
});

function ownsOnly(partition: number): MovingLeases {
  const leases = new MovingLeases(3);
  leases.give([partition]);
  return leases;
}

test("two consumers that both believe to own the partitions file each message once, and the books balance", async () => {
  const harness = new ConsumerHarness({ partitionCount: 3 });
  const config = { maxBatchAgeMs: 50, readMaxEntries: 2 };
  const both = ["a", "b"].map((name) =>
    started(harness, [0, 1, 2], {
      config,
      batch: new JsonBatchWriter(harness.store, () => `${name}${Math.random()}`),
    }),
  );
  for (let block = 0; block < 60; block++) {
    harness.append([json(`m${block}`), json(`m${block < 3 ? block : block - 3}`)], { partition: block % 3 });
    if (block % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (const each of both) await stopped(each);
  await harness.drain();
  assert.deepEqual(
    harness.ids().toSorted(),
    Array.from({ length: 60 }, (_, block) => `m${block}`).toSorted(),
  );
  const moves = [0, 1, 2].map((partition) => harness.lastMove(partition)?.counters);
  assert.equal(
    moves.reduce((sum, counters) => sum + (counters?.read ?? 0), 0),
    120,
  );
  for (const counters of moves) assert.equal(counters?.filed, 20);
});

test("processes that commit in turn do not collide on numbers", async () => {
  const harness = threePartitions();
  let attempts = 0;
  harness.storeFault = (operation, path) => {
    if (operation === "putIfAbsent" && path.startsWith("_commits/")) attempts += 1;
    return null;
  };
  const names = ["a", "b", "c"];
  const all = names.map((name, partition) =>
    started(harness, [partition], {
      batch: new JsonBatchWriter(harness.store, () => `${name}${Math.random()}`),
      config: { maxBatchAgeMs: 0 },
    }),
  );
  await until(() => harness.commits().length === 3);
  attempts = 0;
  for (let turn = 0; turn < 9; turn++) {
    harness.append([json(`turn${turn}`)], { partition: turn % 3 });
    await until(() => harness.commits().length === 4 + turn);
  }
  assert.equal(attempts, 9);
  for (const each of all) await stopped(each);
});

test("accepting a gap is refused if another process reads the partition, and the error names it", async () => {
  const harness = threePartitions();
  const one = started(harness, [0]);
  one.leases.ownedBy(1, "host-b");
  await until(() => harness.commits().length === 1);
  const refused = (partition: number, code: string, text: RegExp) =>
    assert.rejects(
      one.consumer.acceptGap(partition),
      (error) => error instanceof BridgeError && error.code === code && text.test(error.message),
    );
  await refused(1, "CONSUMER_NOT_OWNER", /host-b reads partition 1/);
  await refused(2, "CONSUMER_NOT_OWNER", /no process reads partition 2/);
  await refused(3, "STREAM_NO_GAP", /there is no partition 3/);
  assert.equal(one.consumer.status().state, "running");
  await stopped(one);
});

test("a consumer that ends with a failure keeps its partitions for its restart", async () => {
  const harness = threePartitions();
  const batch = new JsonBatchWriter(harness.store, () => "x");
  batch.write = () => Promise.reject(new BridgeError("STORE_FLUSH_FAILED", "gone", { retryable: false }));
  const one = started(harness, [0], { batch });
  await assert.rejects(one.run);
  assert.equal(one.leases.closedAs, "restarting");
});
