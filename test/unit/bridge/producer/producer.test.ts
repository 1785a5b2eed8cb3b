import assert from "node:assert/strict";
import { test } from "node:test";
import type { Registry } from "prom-client";
import { decodeBlock } from "../../../../bridge/block/decode-block.ts";
import { BridgeError } from "../../../../bridge/errors.ts";
import { deviceHash } from "../../../../bridge/streams/device-hash.ts";
import { numbersIn, producerBench } from "../../../support/producer-bench.ts";

const full = new BridgeError("STREAM_FULL", "full", { retryable: true });
const timeout = new BridgeError("STREAM_TIMEOUT", "no answer", { retryable: true });

async function counter(registry: Registry, name: string): Promise<number> {
  const metric = await registry.getSingleMetric(`tidegate_producer_${name}`)?.get();
  return metric?.values.reduce((sum, each) => sum + each.value, 0) ?? Number.NaN;
}

test("messages close together share a block and settle in order, once it is durable", async () => {
  const { clock, stream, settled, publish, blocks } = producerBench();
  let release = (): void => {};
  stream.faults.beforeAppend = () =>
    new Promise<void>((resolve) => {
      release = resolve;
    });
  for (const number of [1, 2, 3]) publish(number, { device: `device-${number}` });
  await clock.advance(4);
  assert.equal(stream.stored(), 0);
  await clock.advance(1);
  assert.deepEqual(settled, []);
  release();
  await clock.advance(0);
  assert.deepEqual(settled, ["1", "2", "3"]);
  assert.deepEqual(blocks().map(numbersIn), [[1, 2, 3]]);
});

test("a big block does not wait, and grows while its predecessor is in flight", async () => {
  const { clock, stream, publish, blocks } = producerBench({ blockBytes: 1024 });
  const releases: (() => void)[] = [];
  stream.faults.beforeAppend = () => new Promise<void>((resolve) => releases.push(resolve));
  publish(1, { bytes: 2000 });
  for (const number of [2, 3, 4]) publish(number, { bytes: 2000 });
  await clock.advance(100);
  assert.equal(releases.length, 1);
  releases[0]?.();
  await clock.advance(0);
  releases[1]?.();
  await clock.advance(0);
  assert.deepEqual(blocks().map(numbersIn), [[1], [2, 3, 4]]);
});

test("messages that do not fit into one block go into the next ones", async () => {
  const { clock, publish, settled, blocks } = producerBench();
  for (const number of [1, 2, 3, 4, 5]) publish(number, { bytes: 400_000 });
  await clock.advance(5);
  assert.deepEqual(settled, ["1", "2", "3", "4", "5"]);
  assert.deepEqual(blocks().map(numbersIn), [[1], [2, 3], [4, 5]]);
  assert.deepEqual(
    blocks().map(({ header }) => [
      header.sequence,
      header.lastAcknowledgedSequence,
      header.acknowledgedMessages,
    ]),
    [
      [1, 0, 0],
      [2, 1, 1],
      [3, 2, 3],
    ],
  );
});

test("a failed append is tried again with the same bytes, held as long as it takes", async () => {
  const { clock, stream, registry, producer, publish, settled, blocks } = producerBench();
  const attempts: string[] = [];
  stream.faults.beforeAppend = (_, block) => {
    attempts.push(Buffer.from(block).toString("hex"));
    if (attempts.length < 6) throw full;
  };
  publish(1);
  await clock.advance(100);
  publish(2);
  assert.deepEqual(settled, []);
  assert.ok(producer.status().lanes[0]?.heldSinceMs);
  assert.equal(producer.status().lanes[0]?.lastFailure?.code, "STREAM_FULL");
  await clock.advance(20_000);
  assert.deepEqual(settled, ["1", "2"]);
  assert.equal(new Set(attempts.slice(0, 6)).size, 1);
  assert.deepEqual(blocks().slice(0, 2).map(numbersIn), [[1], [2]]);
  assert.equal(await counter(registry, "retries_total"), 5);
  assert.equal(producer.status().lanes[0]?.heldSinceMs, null);
});

test("a stream that refuses all blocks is logged from time to time, with the number given up since and without a stack", async () => {
  const { clock, stream, publish, log } = producerBench();
  publish(0);
  await clock.advance(10);
  stream.faults.beforeAppend = () => {
    throw new BridgeError("STREAM_GAP", "lost", { retryable: false });
  };
  for (let number = 1; number <= 240; number++) {
    publish(number);
    await clock.advance(100);
  }
  const told = log.filter(({ event }) => event === "producer.block.failed");
  assert.equal(told.length, 3, "24 s at one line in 10 s");
  assert.deepEqual(Object.keys(told[0] ?? {}).includes("err"), false);
  assert.equal(told[0]?.["reason"], "lost");
  assert.equal(told[0]?.["level"], 50, "waiting does not mend it");
  assert.ok(Number(told[1]?.["messages"]) > 90);
  stream.faults.beforeAppend = () => {
    throw new BridgeError("STREAM_CLOSED", "closed", { retryable: false });
  };
  publish(241);
  await clock.advance(100);
  assert.equal(log.at(-1)?.["code"], "STREAM_CLOSED", "another reason is told at once");
});

test("alternating reasons are logged as rarely as a single one, and the rest once the stream stores blocks again", async () => {
  const { clock, stream, registry, publish, log } = producerBench();
  let refusals = 0;
  stream.faults.beforeAppend = () => {
    refusals += 1;
    throw new BridgeError(refusals % 2 ? "STREAM_GAP" : "STREAM_CLOSED", "lost", { retryable: false });
  };
  for (let number = 1; number <= 40; number++) {
    publish(number);
    await clock.advance(100);
  }
  const told = () => log.filter(({ event }) => event === "producer.block.failed");
  assert.deepEqual(
    told().map(({ code, messages }) => [code, messages]),
    [
      ["STREAM_GAP", 1],
      ["STREAM_CLOSED", 1],
    ],
  );
  stream.faults.beforeAppend = undefined;
  for (let number = 41; number <= 200; number++) {
    publish(number);
    await clock.advance(100);
  }
  const recovered = log.filter(({ event }) => event === "producer.block.recovered");
  assert.equal(recovered.length, 1);
  const sum = told().reduce((total, { messages }) => total + Number(messages), 0);
  assert.equal(told().length, 4);
  assert.equal(sum, 40);
  assert.equal(await counter(registry, "failed_messages_total"), 40);
});

test("a block whose answer was lost is in the stream twice, with one sequence", async () => {
  const { clock, stream, publish, settled, blocks } = producerBench();
  let answers = 0;
  stream.faults.afterAppend = () => {
    answers += 1;
    if (answers === 1) throw timeout;
  };
  publish(1);
  await clock.advance(500);
  assert.deepEqual(settled, ["1"]);
  assert.deepEqual(
    blocks().map((block) => [block.header.sequence, ...numbersIn(block)]),
    [
      [1, 1],
      [1, 1],
    ],
  );
});

test("at the deadline a block fails together with its followers; later ones take new sequences", async () => {
  const { clock, stream, registry, publish, settled, blocks } = producerBench();
  publish(1);
  await clock.advance(5);
  stream.faults.beforeAppend = () => {
    throw full;
  };
  publish(2);
  await clock.advance(10);
  publish(3, { device: "device-2" });
  await clock.advance(29_000);
  assert.deepEqual(settled, ["1"]);
  await clock.advance(1000);
  assert.deepEqual(settled, ["1", "2 PRODUCER_DEADLINE", "3 PRODUCER_DEADLINE"]);
  stream.faults.beforeAppend = undefined;
  publish(4);
  await clock.advance(5);
  assert.equal(settled.at(-1), "4");
  const { header } = blocks()[1] ?? assert.fail();
  assert.deepEqual(
    [header.sequence, header.lastAcknowledgedSequence, header.acknowledgedMessages],
    [3, 1, 1],
  );
  assert.equal(await counter(registry, "failed_messages_total"), 2);
});

test("an error that is not retryable fails at once", async () => {
  const { clock, stream, publish, settled } = producerBench();
  for (const failure of [
    new BridgeError("STREAM_FLUSH_FAILED", "broken", { retryable: false }),
    new Error("a bug"),
  ]) {
    stream.faults.beforeAppend = () => {
      throw failure;
    };
    publish(1);
    await clock.advance(5);
  }
  assert.deepEqual(settled, ["1 STREAM_FLUSH_FAILED", "Error: a bug"]);
});

test("a stream that never answers is given up at the deadline", async () => {
  const { clock, stream, publish, settled } = producerBench();
  stream.faults.beforeAppend = () => new Promise(() => {});
  publish(1);
  await clock.advance(29_999);
  assert.deepEqual(settled, []);
  await clock.advance(6);
  assert.deepEqual(settled, ["1 PRODUCER_DEADLINE"]);
});

test("an idle producer claims its tail once, with an empty block", async () => {
  const { clock, publish, blocks } = producerBench();
  publish(1);
  publish(2);
  await clock.advance(5);
  await clock.advance(999);
  assert.equal(blocks().length, 1);
  await clock.advance(1);
  assert.equal(blocks().length, 2);
  await clock.advance(60_000);
  const claim = blocks()[1] ?? assert.fail();
  assert.equal(blocks().length, 2);
  assert.equal(claim.header.messageCount, 0);
  assert.equal(claim.header.lastAcknowledgedSequence, 1);
  assert.equal(claim.header.acknowledgedMessages, 2);
});

test("a busy producer appends no empty blocks", async () => {
  const { clock, publish, blocks } = producerBench();
  for (let number = 0; number < 30; number++) {
    publish(number);
    await clock.advance(300);
  }
  assert.ok(blocks().every((block) => block.messages.length > 0));
});

test("a failed claim delays no message and is retried", async () => {
  const { clock, stream, publish, settled, blocks } = producerBench();
  publish(1);
  await clock.advance(5);
  stream.faults.beforeAppend = (_, block) => {
    if (decodeBlock(block).messages.length === 0) throw full;
  };
  await clock.advance(5000);
  publish(2);
  await clock.advance(5);
  assert.deepEqual(settled, ["1", "2"]);
  stream.faults.beforeAppend = undefined;
  await clock.advance(2000);
  assert.deepEqual(blocks().map(numbersIn), [[1], [2], []]);
});

test("a full producer drops QoS 0, reports room again, and refuses all messages above twice its budget", async () => {
  const { clock, stream, producer, registry, publish, settled } = producerBench({
    inFlightMaxBytes: 1024 * 1024,
  });
  let release = (): void => {};
  stream.faults.beforeAppend = () =>
    new Promise<void>((resolve) => {
      release = resolve;
    });
  const drains: number[] = [];
  producer.onDrain(() => drains.push(producer.status().inFlightBytes));
  publish(1, { bytes: 500_000, qos: 0 });
  assert.equal(producer.isFull, false);
  for (const number of [2, 3]) publish(number, { bytes: 500_000 });
  assert.equal(producer.isFull, true);
  publish(4, { qos: 0 });
  for (const number of [5, 6]) publish(number, { bytes: 500_000, qos: 2 });
  publish(7);
  await clock.advance(10);
  assert.deepEqual(settled, ["4 PRODUCER_FULL", "7 PRODUCER_FULL"]);
  assert.equal(await counter(registry, "dropped_qos0_total"), 1);
  assert.equal(await counter(registry, "refused_total"), 1);
  while (settled.length < 7) {
    release();
    await clock.advance(0);
  }
  assert.deepEqual(settled.slice(2), ["1", "2", "3", "5", "6"]);
  assert.equal(drains.length, 1);
  assert.ok((drains[0] ?? Number.NaN) <= 0.75 * 1024 * 1024);
  assert.equal(producer.isFull, false);
  assert.equal(producer.status().inFlightBytes, 0);
});

test("a message that no block can hold is refused", async () => {
  const { clock, registry, publish, settled } = producerBench();
  publish(1, { bytes: 921_600 });
  publish(2, { bytes: 768 * 1024 });
  assert.deepEqual(settled, []);
  await clock.advance(5);
  assert.deepEqual(settled, ["1 MESSAGE_TOO_LARGE", "2"]);
  assert.equal(await counter(registry, "refused_total"), 1);
});

test("flush does not wait for the linger; close claims the tail and refuses what comes later", async () => {
  const { clock, producer, publish, settled, blocks } = producerBench({ lingerMs: 1000 });
  publish(1);
  await producer.flush();
  assert.deepEqual(settled, ["1"]);
  publish(2);
  await producer.close();
  publish(3);
  await clock.advance(5000);
  assert.deepEqual(settled, ["1", "2", "3 PRODUCER_CLOSED"]);
  assert.deepEqual(blocks().map(numbersIn), [[1], [2], []]);
  assert.equal(blocks()[2]?.header.acknowledgedMessages, 2);
  assert.equal(clock.pendingTimers, 0);
});

test("a listener that throws or publishes again affects no other message", async () => {
  const { clock, producer, publish, settled } = producerBench();
  publish(1, {
    after: () => {
      throw new Error("a bug of the owner");
    },
  });
  publish(2, { after: () => publish(3) });
  await clock.advance(20);
  assert.deepEqual(settled, ["1", "2", "3"]);
  assert.equal(producer.status().inFlightBytes, 0);
});

test("a device always has the same partition, and devices spread evenly", () => {
  assert.deepEqual(
    ["", "device-1", "device-2", "ä", "00:1b:44:11:3a:b7"].map((id) => deviceHash(id) % 1024),
    [11, 414, 515, 1016, 665],
  );
  const counts = [0, 0, 0, 0];
  for (let device = 0; device < 10_000; device++) {
    const partition = deviceHash(`device-${device}`) % 4;
    counts[partition] = (counts[partition] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(count > 2300 && count < 2700, String(counts));
});
