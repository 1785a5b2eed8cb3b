import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BridgeError } from "../../../../bridge/errors.ts";
import { numbersIn, type ProducerBench, producerBench } from "../../../support/producer-bench.ts";

const full = new BridgeError("STREAM_FULL", "full", { retryable: true });
const devices = Array.from({ length: 12 }, (_, index) => `device-${index}`);

/** Blocks in the partition that they were meant for: the ones that a consumer files. */
function taken({ stream, blocks }: ProducerBench): { partition: number; numbers: number[] }[] {
  return stream.partitions.all.flatMap(({ partition }) =>
    blocks(partition)
      .filter(({ header, messages }) => header.partition === partition && messages.length > 0)
      .map((block) => ({ partition, numbers: numbersIn(block) })),
  );
}

test("messages of a closed partition go, in order, to those that replaced it, and only those acknowledge them", async () => {
  const bench = producerBench({}, 1, { isDivisible: true });
  const { clock, stream, settled, publish, blocks } = bench;
  publish(1, { device: "device-0" });
  await clock.advance(5);
  stream.split(0);
  for (const [index, device] of devices.entries()) publish(10 + index, { device });
  await clock.advance(5);
  assert.deepEqual(settled, ["1"], "the block landed elsewhere: nobody is told");
  await clock.advance(5);
  assert.equal(settled.length, 1 + devices.length);
  const found = taken(bench);
  assert.deepEqual(
    found.flatMap(({ numbers }) => numbers).toSorted((a, b) => a - b),
    [1, ...devices.map((_, index) => 10 + index)],
  );
  for (const { partition, numbers } of found.slice(1))
    for (const number of numbers)
      assert.equal(stream.partitions.partitionOfDevice(devices[number - 10] as string), partition);
  const [landed] = blocks(1);
  assert.deepEqual(
    [landed?.header.partition, landed?.header.lastAcknowledgedSequence, landed?.header.acknowledgedMessages],
    [0, 1, 1],
    "it tells the reader what was acknowledged in the closed partition",
  );
  await bench.producer.close();
});

for (const isAnnounced of [true, false])
  test(`a message that comes while the closed partition's block is under way does not overtake it (${isAnnounced ? "known before" : "learned from its answer"})`, async () => {
    const bench = producerBench({}, 1, { isDivisible: true });
    const { clock, stream, settled, publish } = bench;
    let release = (): void => {};
    stream.faults.beforeAppend = (partition) =>
      partition === 0 ? new Promise<void>((resolve) => (release = resolve)) : undefined;
    publish(1);
    await clock.advance(5);
    publish(2);
    stream.split(0);
    if (isAnnounced) stream.announce();
    await clock.advance(50);
    publish(3);
    await clock.advance(50);
    release();
    await clock.advance(0);
    publish(4);
    await clock.advance(20);
    assert.deepEqual(settled, ["1", "2", "3", "4"]);
    assert.deepEqual(
      taken(bench).flatMap(({ numbers }) => numbers),
      [1, 2, 3, 4],
    );
  });

test("the tail of a closed idle partition is claimed in the partitions that replaced it", async () => {
  const bench = producerBench({}, 2, { isDivisible: true });
  const { clock, stream, publish, blocks, producer } = bench;
  const inFirst = devices.find((device) => stream.partitions.partitionOfDevice(device) === 0) as string;
  const inSecond = devices.find((device) => stream.partitions.partitionOfDevice(device) === 1) as string;
  publish(1, { device: inFirst });
  await clock.advance(5);
  stream.split(0);
  publish(2, { device: inSecond });
  await clock.advance(1100);
  const [claim] = blocks(2);
  assert.deepEqual(
    [claim?.header.partition, claim?.messages.length, claim?.header.lastAcknowledgedSequence],
    [0, 0, 1],
  );
  await clock.advance(50);
  assert.ok(
    !producer.status().lanes.some(({ partition }) => partition === 0),
    "the closed partition's lane is gone",
  );
});

test("an unclaimed tail of a closed partition is claimed at once, even if no message is under way to it", async () => {
  const { clock, stream, publish, blocks, settled } = producerBench({}, 2, { isDivisible: true });
  const [first, second] = [0, 1].map(
    (partition) =>
      devices.find((device) => stream.partitions.partitionOfDevice(device) === partition) as string,
  );
  publish(1, { device: first as string });
  await clock.advance(5);
  stream.merge(0, 1);
  publish(2, { device: second as string });
  await clock.advance(20);
  assert.deepEqual(settled, ["1", "2"]);
  const claim = blocks(2).find(({ header }) => header.partition === 0);
  assert.equal(claim?.header.lastAcknowledgedSequence, 1);
});

test("a block that fails for good while its partition closes is given up, not handed over", async () => {
  const bench = producerBench({ deadlineMs: 1000 }, 1, { isDivisible: true });
  const { clock, stream, settled, publish } = bench;
  stream.faults.beforeAppend = () => {
    throw full;
  };
  publish(1);
  await clock.advance(5);
  stream.split(0);
  await clock.advance(3000);
  assert.deepEqual(settled, ["1 PRODUCER_DEADLINE"]);
  stream.faults.beforeAppend = undefined;
  publish(2);
  await clock.advance(3000);
  assert.deepEqual(settled.slice(1), ["2"]);
});

test("closing waits for messages that are handed over", async () => {
  const bench = producerBench({}, 1, { isDivisible: true });
  const { stream, settled, publish, producer } = bench;
  publish(1);
  stream.split(0);
  await producer.close();
  assert.deepEqual(settled, ["1"]);
  assert.equal(producer.status().inFlightBytes, 0);
  assert.equal(producer.status().totals.reroutedMessages, 1);
});

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ publish: fc.nat(devices.length - 1) }) },
  { weight: 5, arbitrary: fc.record({ waitMs: fc.constantFrom(1, 5, 5, 50, 1100) }) },
  { weight: 2, arbitrary: fc.record({ split: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ merge: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ fail: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ announce: fc.constant(true) }) },
);

test("for any reshards and failed appends, each acknowledged message is in its partition, and a device's are in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
      const bench = producerBench({ deadlineMs: 2000 }, 2, { isDivisible: true });
      const { clock, stream, settled, publish, producer } = bench;
      let failures = 0;
      stream.faults.beforeAppend = () => {
        if (failures-- > 0) throw full;
      };
      const deviceOf = new Map<number, string>();
      let number = 0;
      for (const each of steps) {
        if ("publish" in each) {
          deviceOf.set(++number, devices[each.publish] as string);
          publish(number, { device: devices[each.publish] as string });
        } else if ("waitMs" in each) await clock.advance(each.waitMs);
        else if ("fail" in each) failures = each.fail;
        else if ("announce" in each) stream.announce();
        else divide(bench, each);
      }
      failures = 0;
      const closed = producer.close();
      await clock.advance(10_000);
      await closed;
      assert.equal(settled.length, number);
      assert.equal(producer.status().inFlightBytes, 0);
      const found = taken(bench);
      const numbers = found.flatMap((block) => block.numbers);
      for (const line of settled) {
        const acknowledged = Number(line);
        if (Number.isNaN(acknowledged)) continue;
        assert.ok(numbers.includes(acknowledged), `${acknowledged} was acknowledged and is nowhere`);
      }
      for (const device of devices) {
        const mine = numbers.filter((each) => deviceOf.get(each) === device);
        assert.deepEqual(
          mine,
          mine.toSorted((left, right) => left - right),
          `${device} in order`,
        );
      }
      for (const { partition, numbers: inBlock } of found)
        for (const each of inBlock)
          assert.ok(stream.partitions.takes(partition, deviceOf.get(each) as string));
    }),
    { numRuns: 300 },
  );
});

function divide({ stream }: ProducerBench, how: { split: number } | { merge: number }): void {
  const open = stream.openPartitions();
  if ("split" in how) {
    if (open.length < 6) stream.split(open[how.split % open.length] as number);
    return;
  }
  const at = how.merge % open.length;
  const next = open[at + 1];
  if (next !== undefined) stream.merge(open[at] as number, next);
}
