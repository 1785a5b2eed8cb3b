import assert from "node:assert/strict";
import { test } from "node:test";
import { noCounters } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { emptyLakeState } from "../../../../../bridge/lake/commit-log/lake-state.ts";
import { unknownPartitions } from "../../../../../bridge/lake/consumer/commit/record-partitions.ts";
import type { Consumer } from "../../../../../bridge/lake/consumer/consumer.ts";
import { partitionKey } from "../../../../../bridge/streams/partition-key.ts";
import { endPosition } from "../../../../../bridge/streams/stream-log.ts";
import { type ConsumerHarness, json } from "../../../../support/consumer-harness.ts";
import { devicesOf, divisible, from } from "../../../../support/divisible-stream.ts";
import { MovingLeases } from "../../../../support/moving-leases.ts";

async function until(consumer: Consumer, isReached: () => boolean): Promise<void> {
  for (let turns = 0; !isReached(); turns++) {
    assert.ok(turns < 2000, `never reached: ${JSON.stringify(consumer.status())}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * Accepts the loss of each partition in turn, once only that partition is read and has halted, then drains.
 */
async function acceptLosses(harness: ConsumerHarness, partitions: readonly number[]): Promise<void> {
  harness.registry.clear();
  const consumer = harness.consumer();
  const run = consumer.run();
  for (const lost of partitions) {
    const halted = () => consumer.status().partitions.filter(({ halt }) => halt?.code === "STREAM_GAP");
    await until(consumer, () => halted().some(({ partition }) => partition === lost));
    assert.equal((await consumer.acceptGap(lost)).to, endPosition);
  }
  await consumer.stop({ drain: true });
  await run;
}

test("a split partition is read to its end, then its successors, and a resend there is a duplicate", async () => {
  const harness = divisible();
  harness.stream.split(0);
  const [left = "", right = ""] = devicesOf(harness, [1, 2]);
  harness.append([from(left, "a"), from(right, "b")]);
  harness.append([from(left, "c"), from(left, "a")], { partition: 1 });
  harness.append([from(right, "b"), from(right, "d")], { partition: 2 });
  const consumer = await harness.drain();
  assert.deepEqual(harness.ids().slice(0, 2), ["a", "b"]);
  assert.deepEqual(harness.ids().toSorted(), ["a", "b", "c", "d"]);
  const { partitions } = consumer.status();
  assert.deepEqual(
    partitions.map(({ partition, counters }) => [partition, counters.filed, counters.duplicates]),
    [
      [1, 1, 1],
      [2, 1, 1],
    ],
  );
  const last = harness.commits().findLast((entry) => entry.moves[partitionKey(harness.stream.streamId, 0)]);
  assert.equal(last?.moves[partitionKey(harness.stream.streamId, 0)]?.to, endPosition);
});

test("merged partitions are both read before their successor", async () => {
  const harness = divisible(2);
  harness.stream.merge(0, 1);
  const [first = "", second = ""] = devicesOf(harness, [0, 1]);
  harness.append([from(first, "c"), from(first, "a")], { partition: 2 });
  harness.append([from(second, "b")], { partition: 2, producerId: "0000000000000002" });
  harness.append([from(first, "a")], { partition: 0 });
  harness.append([from(second, "b")], { partition: 1 });
  await harness.drain();
  assert.deepEqual(harness.ids().toSorted(), ["a", "b", "c"]);
});

test("after a restart, a finished parent is not read again, and its window is dropped", async () => {
  const harness = divisible();
  const forgotten: number[] = [];
  const { window } = harness;
  harness.window = new Proxy(window, {
    get: (target, name: keyof typeof window) =>
      name === "forget"
        ? (partition: number) => {
            forgotten.push(partition);
            return target.forget(partition);
          }
        : target[name]?.bind(target),
  });
  harness.append([json("a")]);
  harness.stream.split(0);
  await harness.drain();
  const consumer = await harness.drain();
  assert.deepEqual(
    consumer.status().partitions.map(({ partition }) => partition),
    [1, 2],
  );
  assert.ok(forgotten.includes(0));
  assert.deepEqual(harness.ids(), ["a"]);
});

test("a misrouted block is dropped whole and counted; a copy of a parent's block is a resent one", async () => {
  const harness = divisible();
  harness.append([json("a")]);
  harness.append([json("b")], { isAcknowledged: false });
  harness.stream.split(0);
  harness.append([json("b")], { sequence: 2, landsIn: 1, isAcknowledged: false });
  harness.append([json("c"), json("e")], { sequence: 3, landsIn: 1, isAcknowledged: false });
  const consumer = await harness.drain();
  assert.deepEqual(harness.ids(), ["a", "b"]);
  const [counters] = consumer.status().partitions.map((partition) => partition.counters);
  assert.deepEqual([counters?.resent, counters?.misrouted], [1, 2]);
});

test("a block in a successor reveals the lost tail of a closed partition (G8)", async () => {
  const harness = divisible();
  harness.append([json("a")]);
  const lost = harness.append([json("b"), json("c")]);
  harness.stream.split(0);
  harness.append([], { landsIn: 1, isAcknowledged: false });
  harness.stream.partition(0).highest -= 1;
  harness.stream.loseEntry(0, lost);
  const consumer = await harness.drain();
  const halted = consumer.status().partitions.find(({ partition }) => partition === 1);
  assert.equal(halted?.halt?.code, "STREAM_GAP");
  assert.equal(halted?.unaccounted, 2);
  assert.equal(halted?.halt?.resume, "tidegate stream accept-gap 1");
});

test("a loss before the first block of a new partition counts once, also if the process ends right after its acceptance", async () => {
  const harness = divisible();
  harness.append([json("a")]);
  harness.stream.split(0);
  const [device = ""] = devicesOf(harness, [1]);
  harness.append([from(device, "b")], { partition: 1 });
  harness.stream.rollBack(1, 1);
  harness.append([from(device, "c")], { partition: 1 });
  const consumer = harness.consumer();
  const run = consumer.run();
  const haltOf = (each: Consumer) =>
    each.status().partitions.find(({ partition }) => partition === 1)?.halt ?? null;
  await until(consumer, () => haltOf(consumer) !== null);
  assert.equal((await consumer.acceptGap(1)).unaccounted, 1);
  await consumer.stop({ drain: false });
  await run;
  const next = await harness.drain();
  assert.equal(haltOf(next), null);
  assert.equal(next.status().partitions.find(({ partition }) => partition === 1)?.counters.unaccounted, 1);
  assert.deepEqual(harness.ids(), ["a", "c"]);
});

test("a block for a partition that is not an ancestor is misrouted, whatever its claims", async () => {
  const harness = divisible(2);
  harness.append([json("a")], { partition: 1, landsIn: 0, lastAcknowledgedSequence: 7, sequence: 9 });
  const consumer = await harness.drain();
  assert.equal(consumer.status().partitions[0]?.halt, null);
  assert.equal(consumer.status().partitions[0]?.counters.misrouted, 1);
});

test("stream time continues in a partition's successor, whatever the wall clock says", async () => {
  const harness = divisible();
  harness.append([json("a")]);
  harness.append([]);
  harness.stream.split(0);
  harness.wallOffMs = -30_000;
  const [device = ""] = devicesOf(harness, [1]);
  harness.clock.nowMs += 5000;
  harness.append([from(device, "z")], { partition: 1 });
  await harness.drain();
  const [parents, childs] = ["a", "z"].map((id) =>
    harness.rows().find(({ messageId }) => messageId === Buffer.from(id).toString("hex")),
  );
  assert.ok(parents);
  assert.equal(childs?.streamTimeMs, parents.streamTimeMs + 5000);
  assert.equal(childs?.ingestTimeMs, parents.ingestTimeMs - 25_000);
});

test("a partition that the stream forgot before its end stops, and its successors wait, until the loss is accepted", async () => {
  const harness = divisible();
  harness.append([json("a")]);
  await harness.drain();
  harness.append([json("lost")]);
  harness.stream.split(0);
  harness.stream.forget(0);
  const [device = ""] = devicesOf(harness, [1]);
  harness.append([from(device, "b")], { partition: 1 });
  harness.registry.clear();
  const consumer = harness.consumer();
  const run = consumer.run();
  await until(consumer, () => consumer.status().partitions[0]?.halt?.code === "STREAM_GAP");
  assert.deepEqual(
    consumer.status().partitions.map(({ partition }) => partition),
    [0],
  );
  assert.deepEqual(harness.ids(), ["a"]);
  const accepted = await consumer.acceptGap(0);
  assert.equal(accepted.to, endPosition);
  await until(consumer, () => harness.ids().includes("b"));
  await consumer.stop({ drain: true });
  await run;
});

test("a partition that was forgotten before its first read stops as well, although no commit has moved it", async () => {
  const harness = divisible();
  await harness.drain();
  harness.append([json("lost")]);
  harness.stream.split(0);
  harness.stream.forget(0);
  const [device = ""] = devicesOf(harness, [1]);
  harness.append([from(device, "b")], { partition: 1 });
  const { partitions } = (await harness.drain()).status();
  assert.deepEqual(
    partitions.map(({ partition, halt }) => [partition, halt?.code, halt?.resume]),
    [[0, "STREAM_GAP", "tidegate stream accept-gap 0"]],
  );
  assert.deepEqual(harness.ids(), []);
  await acceptLosses(harness, [0]);
  assert.deepEqual(harness.ids(), ["b"]);
});

test("a partition that began and was forgotten while no consumer ran stops as well", async () => {
  const harness = divisible(2);
  harness.append([json("a")], { partition: 1 });
  await harness.drain();
  harness.stream.split(0);
  harness.append([json("lost")], { partition: 2 });
  harness.stream.split(2);
  const [device = ""] = devicesOf(harness, [4]);
  harness.append([from(device, "b")], { partition: 4 });
  harness.stream.forget(0);
  harness.stream.forget(2);
  const { partitions } = (await harness.drain()).status();
  assert.deepEqual(
    partitions.map(({ partition, halt }) => [partition, halt?.code]),
    [
      [0, "STREAM_GAP"],
      [1, undefined],
      [2, "STREAM_GAP"],
    ],
  );
  await acceptLosses(harness, [0, 2]);
  assert.deepEqual(harness.ids().toSorted(), ["a", "b"]);
});

test("a lake that begins with a divided stream whose parents are forgotten misses nothing", async () => {
  const harness = divisible(2);
  harness.stream.split(0);
  harness.stream.forget(0);
  harness.stream.split(3);
  harness.stream.forget(3);
  const [first = "", second = ""] = devicesOf(harness, [2, 4]);
  harness.append([from(first, "a")], { partition: 2 });
  await harness.drain();
  harness.append([from(second, "b")], { partition: 4 });
  const { partitions } = (await harness.drain()).status();
  assert.deepEqual(
    partitions.map(({ partition, halt }) => [partition, halt]),
    [1, 2, 4, 5].map((partition) => [partition, null]),
  );
  assert.deepEqual(harness.ids(), ["a", "b"]);
});

test("a merged partition waits for a parent that was forgotten unread, and two consumers agree on it", async () => {
  const harness = divisible(2);
  await harness.drain();
  harness.append([json("a")], { partition: 0 });
  harness.append([json("lost")], { partition: 1 });
  harness.stream.merge(0, 1);
  const [device = ""] = devicesOf(harness, [2]);
  harness.append([from(device, "b")], { partition: 2 });
  harness.stream.forget(1);
  const leases = [new MovingLeases(3), new MovingLeases(3)];
  leases[0]?.give([0]);
  leases[1]?.give([1]);
  const [read, halted] = [
    await harness.drain({ leases: leases[0] as MovingLeases }),
    await harness.drain({ leases: leases[1] as MovingLeases }),
  ];
  assert.equal(read.status().partitions[0]?.halt, null);
  assert.equal(halted.status().partitions[0]?.halt?.code, "STREAM_GAP");
  assert.deepEqual(harness.ids(), ["a"]);
  await acceptLosses(harness, [1]);
  assert.deepEqual(harness.ids(), ["a", "b"]);
});

test("a lake of version 0.1.0 knows only the partitions that it read, and does not seem to have missed others", () => {
  const { stream } = divisible(2);
  stream.split(0);
  stream.forget(0);
  stream.split(3);
  stream.forget(3);
  const { streamId, partitions } = stream;
  const unknown = (read: readonly number[]) => {
    const moved = { from: "", to: "1", streamTimeMs: 1, producers: {}, counters: noCounters };
    const moves = new Map(read.map((partition) => [partitionKey(streamId, partition), moved]));
    return unknownPartitions({ streamId, partitions }, { ...emptyLakeState, moves });
  };
  assert.deepEqual(unknown([]), [1, 2, 4, 5]);
  assert.deepEqual(unknown([1, 2, 4]), [5]);
  assert.deepEqual(unknown([4]), [1, 2, 5]);
  assert.deepEqual(unknown([5, 2]), [1, 4]);
  assert.deepEqual(unknown([1]), [2, 3, 4, 5], "the children of 3 are new to the lake, and so was 3");
});

const nineDaysMs = 9 * 86_400_000;

test("a partition that is read long after its predecessors, by their time, still knows their messages", async () => {
  const harness = divisible(2);
  const [device = "", other = ""] = devicesOf(harness, [0, 1]);
  harness.append([from(device, "a")]);
  harness.append([from(device, "b")]);
  harness.append([from(other, "x")], { partition: 1 });
  harness.stream.split(0);
  const child = harness.stream.partitions.partitionOfDevice(device);
  harness.append([from(device, "a"), from(device, "c")], { partition: child });
  // Meant for the partition that was split: only that partition's marks show that nothing is missing before
  // it.
  harness.append([from(device, "b")], { landsIn: child, isAcknowledged: false });
  for (const id of ["y", "z"]) {
    harness.clock.nowMs += nineDaysMs;
    harness.append([from(other, id)], { partition: 1 });
  }
  const leases = new MovingLeases(4);
  leases.give([0, 1]);
  await harness.drain({ leases });
  const past = harness.lastMove(0);
  assert.equal(past?.to, endPosition);
  assert.ok((harness.lastMove(1)?.streamTimeMs ?? 0) >= (past?.streamTimeMs ?? 0) + nineDaysMs);
  const halts = (await harness.drain()).status().partitions.map(({ halt }) => halt);
  assert.ok(
    halts.every((halt) => halt === null),
    JSON.stringify(halts),
  );
  assert.deepEqual(harness.ids().toSorted(), ["a", "b", "c", "x", "y", "z"]);
  assert.equal(harness.lastMove(child)?.clock?.blocks, 4, "its clock went on");
});
