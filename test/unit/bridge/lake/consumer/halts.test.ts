import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crc32 } from "node:zlib";
import { Registry } from "prom-client";
import { BridgeError } from "../../../../../bridge/errors.ts";
import type { Consumer } from "../../../../../bridge/lake/consumer/consumer.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import type { StreamLog } from "../../../../../bridge/streams/stream-log.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

/** Runs until `isReached`, calls back with the running consumer, then stops it. */
async function running(
  harness: ConsumerHarness,
  isReached: (consumer: Consumer) => boolean,
  act: (consumer: Consumer) => Promise<void> | void = () => {},
): Promise<Consumer> {
  harness.registry.clear();
  const consumer = harness.consumer();
  const run = consumer.run();
  for (let turns = 0; !isReached(consumer); turns++) {
    assert.ok(turns < 2000, `never reached: ${JSON.stringify(consumer.status())}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await act(consumer);
  await consumer.stop({ drain: true });
  await run;
  return consumer;
}

const isHalted = (consumer: Consumer) => Boolean(consumer.status().partitions[0]?.halt);
const damage = (harness: ConsumerHarness, index: number) => {
  const entry = harness.stream.entries(0)[index];
  assert.ok(entry);
  entry.block[entry.block.length - 10] = (entry.block.at(-10) ?? 0) ^ 1;
};

describe("a lost block", () => {
  test("stops only its partition, with the number of missing messages, and nothing after it is filed", async () => {
    const harness = new ConsumerHarness({ partitionCount: 2 });
    harness.append([json("a")]);
    const lost = harness.append([json("b"), json("c")]);
    harness.append([json("d")]);
    harness.append([json("e")], { partition: 1 });
    harness.stream.loseEntry(0, lost);
    const consumer = await harness.drain();
    assert.deepEqual(harness.ids().toSorted(), ["a", "e"]);
    const [stopped, other] = consumer.status().partitions;
    assert.equal(stopped?.state, "stopped");
    assert.equal(stopped?.halt?.code, "STREAM_GAP");
    assert.equal(stopped?.halt?.resume, "tidegate stream accept-gap 0");
    assert.equal(stopped?.unaccounted, 2);
    assert.equal(stopped?.counters.unaccounted, 0, "not before it was accepted");
    assert.deepEqual([other?.state, other?.halt], ["running", null]);
    assert.ok(
      harness.log.some(({ event, code }) => event === "consumer.partition.halted" && code === "STREAM_GAP"),
    );
  });

  test("is detected by its producer's next block if the stream itself has no hole", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    // Acknowledged, but in no stream: a roll-back removed it, and its position was used again.
    harness.append([json("b"), json("c")]);
    harness.stream.rollBack(0, 1);
    harness.append([json("d")]);
    const consumer = await harness.drain();
    assert.deepEqual(harness.ids(), ["a"]);
    const [partition] = consumer.status().partitions;
    assert.deepEqual([partition?.halt?.code, partition?.unaccounted], ["STREAM_GAP", 2]);
  });

  test("is detected by the empty block of an idle producer", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    harness.append([json("b")]);
    harness.stream.rollBack(0, 1);
    harness.append([]);
    const consumer = await harness.drain();
    assert.equal(consumer.status().partitions[0]?.unaccounted, 1);
  });

  test("at the very start is detected", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a"), json("b"), json("c")]);
    harness.stream.rollBack(0, 1);
    harness.append([json("d")]);
    const consumer = await harness.drain();
    assert.deepEqual([consumer.status().partitions[0]?.unaccounted, harness.ids()], [3, []]);
  });

  test("at the end of a stream that was restored from an older copy points to a new stream", async () => {
    const harness = new ConsumerHarness();
    for (const id of ["a", "b", "c"]) harness.append([json(id)]);
    await harness.drain({ trim: async () => {} });
    harness.stream.rollBack(0, 2);
    const consumer = await harness.drain({ trim: async () => {} });
    const [partition] = consumer.status().partitions;
    assert.equal(partition?.halt?.code, "STREAM_GAP");
    assert.match(partition?.halt?.resume ?? "", /tidegate stream new/);
  });

  test("at the end of a stream that may change is checked again: each new advice is logged once", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    await harness.drain();
    // Each lasts longer than 10 s, with a check every 5 s.
    const details: Record<string, string>[] = [{}, {}, {}, ...Array(8).fill({ resumeAfter: "5" })];
    let reads = 0;
    harness.stream.faults.beforeRead = () => {
      const fault = details[Math.floor(reads++ / 2)];
      if (fault) throw new BridgeError("STREAM_GAP", "rolled back", { retryable: true, details: fault });
    };
    const advices = new Set<string>();
    const consumer = await running(harness, (each) => {
      const { state, halt } = each.status().partitions[0] ?? {};
      if (halt) advices.add(`${state}: ${halt.resume.split(";")[0]}`);
      return advices.size > 0 && !halt;
    });
    assert.deepEqual(
      [...advices],
      ["stopped: restore the stream from a copy", "stopped: tidegate stream accept-gap 0"],
    );
    assert.equal(harness.log.filter(({ event }) => event === "consumer.partition.halted").length, 2);
    assert.equal(harness.log.filter(({ event }) => event === "consumer.partition.resumed").length, 1);
    assert.equal(consumer.status().partitions[0]?.unaccounted, 0, "it was restored");
    harness.append([json("b")]);
    await harness.drain();
    assert.deepEqual(harness.ids(), ["a", "b"]);
  });

  test("that was never acknowledged is not a gap", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    harness.append([json("b")], { isAcknowledged: false });
    harness.stream.rollBack(0, 1);
    harness.append([json("b"), json("c")]);
    const consumer = await harness.drain();
    assert.deepEqual([harness.ids(), consumer.status().partitions[0]?.state], [["a", "b", "c"], "running"]);
  });
});

describe("accepting a gap", () => {
  test("continues after lost blocks, and the books keep the loss for ever", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    const lost = harness.append([json("b"), json("c")]);
    harness.append([json("d")]);
    harness.stream.loseEntry(0, lost);
    await running(harness, isHalted, async (consumer) => {
      const accepted = await consumer.acceptGap(0);
      assert.equal(accepted.unaccounted, 2);
    });
    assert.deepEqual(harness.ids(), ["a", "d"]);
    harness.append([json("e"), json("a")]);
    const consumer = await harness.drain();
    assert.deepEqual(harness.ids(), ["a", "d", "e"]);
    const [partition] = consumer.status().partitions;
    assert.deepEqual(
      [partition?.state, partition?.unaccounted, partition?.counters.unaccounted],
      ["running", 2, 2],
    );
    assert.equal(partition?.counters.duplicates, 1, "the window went along");
  });

  test("also accepts the next block's claim if the position stays", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    harness.append([json("b")]);
    harness.stream.rollBack(0, 1);
    harness.append([json("c")]);
    await running(harness, isHalted, async (consumer) => {
      const { from, to, unaccounted } = await consumer.acceptGap(0);
      assert.deepEqual([from === to, unaccounted], [true, 1]);
    });
    assert.deepEqual(harness.ids(), ["a", "c"]);
    harness.append([json("a")]);
    await harness.drain();
    assert.deepEqual(harness.ids(), ["a", "c"], "a process that starts later understands such a commit");
  });

  test("continues after a damaged block", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    harness.append([json("b"), json("c")]);
    harness.append([json("d")]);
    damage(harness, 1);
    const consumer = await running(harness, isHalted, async (halted) => {
      const [partition] = halted.status().partitions;
      assert.deepEqual([partition?.halt?.code, partition?.unaccounted], ["BLOCK_CORRUPT", 2]);
      assert.equal((await halted.acceptGap(0)).unaccounted, 2);
    });
    assert.deepEqual(harness.ids(), ["a", "d"]);
    assert.equal(consumer.status().partitions[0]?.counters.unaccounted, 2);
  });

  test("sizes the gap by the first informative block, past copies of earlier ones", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    const copy = Uint8Array.from(harness.stream.entries(0)[0]?.block ?? []);
    harness.append([json("b"), json("c")]);
    harness.stream.store(0, copy);
    harness.append([json("d")]);
    damage(harness, 1);
    await running(harness, isHalted, async (consumer) => {
      assert.equal((await consumer.acceptGap(0)).unaccounted, 2);
    });
    assert.deepEqual(harness.ids(), ["a", "d"]);
  });

  test("is refused for a partition without a gap, and for a consumer that ended", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    const isDone = (consumer: Consumer) => consumer.status().batches > 0;
    const consumer = await running(harness, isDone, async (idle) => {
      await assert.rejects(idle.acceptGap(0), { code: "STREAM_NO_GAP" });
      await assert.rejects(idle.acceptGap(7), { code: "STREAM_NO_GAP", message: /no partition 7/ });
    });
    await assert.rejects(consumer.acceptGap(0), { code: "CONSUMER_STOPPED" });
  });
});

test("a damaged block is never skipped, and the blocks before it are filed", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  harness.append([json("b")]);
  harness.append([json("c")]);
  damage(harness, 1);
  for (const _ of [1, 2]) {
    const consumer = await harness.drain();
    assert.deepEqual(harness.ids(), ["a"]);
    assert.equal(consumer.status().partitions[0]?.halt?.code, "BLOCK_CORRUPT");
  }
});

test("a block of another stream stops the partition", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")], { streamId: "cd".repeat(16) });
  const consumer = await harness.drain();
  assert.equal(consumer.status().partitions[0]?.halt?.code, "BLOCK_FOREIGN");
  assert.deepEqual(harness.rows(), []);
});

test("a block of a newer version stops the partition, and there is nothing to accept", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  const block = Buffer.from(harness.stream.entries(0)[0]?.block ?? []);
  block[4] = 9;
  block.writeUInt32LE(crc32(block.subarray(0, -4)), block.length - 4);
  const newer = new ConsumerHarness();
  newer.stream.store(0, block);
  await running(newer, isHalted, async (consumer) => {
    const [partition] = consumer.status().partitions;
    assert.equal(partition?.halt?.code, "BLOCK_VERSION");
    assert.match(partition?.halt?.resume ?? "", /upgrade/);
    await assert.rejects(consumer.acceptGap(0), { code: "STREAM_NO_GAP" });
  });
});

test("an unknown topic version waits, with the blocks before it filed, and continues once the version is known", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  harness.append([json("b"), { ...json("c"), topicId: "t2" }]);
  harness.append([json("d")]);
  await running(
    harness,
    (consumer) => isHalted(consumer) && harness.commits().length > 0,
    (consumer) => {
      const [partition] = consumer.status().partitions;
      assert.deepEqual([partition?.state, partition?.halt?.code], ["waiting", "TOPIC_UNKNOWN"]);
      assert.deepEqual(harness.ids(), ["a"], "the block is taken whole or not at all");
    },
  );
  harness.define(topicVersion({ topicId: "t2", name: "other" }));
  await harness.drain();
  assert.deepEqual([harness.ids(), harness.ids("t2")], [["a", "b", "d"], ["c"]]);
});

test("a stream that shows its end again within seconds causes no error in the log", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  await harness.drain();
  let reads = 0;
  harness.stream.faults.beforeRead = () => {
    if (reads++ < 2) throw new BridgeError("STREAM_GAP", "rolled back", { retryable: true });
  };
  let hasHalted = false;
  await running(harness, (each) => {
    const { halt } = each.status().partitions[0] ?? {};
    hasHalted ||= halt?.code === "STREAM_GAP";
    return hasHalted && !halt;
  });
  assert.deepEqual(haltLines(harness), []);
});

const haltLines = (harness: ConsumerHarness) =>
  harness.log.filter(({ event }) => event === "consumer.partition.halted");

test("a new topic is looked up first: its messages halt nothing, and the log has no error", async () => {
  const harness = new ConsumerHarness();
  const isRunning = (consumer: Consumer) => consumer.status().state === "running";
  await running(harness, isRunning, () => {
    harness.append([json("a"), { ...json("b"), topicId: "t2" }]);
    harness.append([{ ...json("c"), topicId: "t3" }]);
    harness.refreshTopics = async () => {
      for (const name of ["t2", "t3"]) harness.define(topicVersion({ topicId: name, name }));
    };
  });
  assert.deepEqual([harness.ids(), harness.ids("t2"), harness.ids("t3")], [["a"], ["b"], ["c"]]);
  assert.deepEqual(haltLines(harness), []);
});

test("a topic that stays unknown is logged once, after 10 s, and so is the end of the halt", async () => {
  const harness = new ConsumerHarness();
  harness.append([{ ...json("a"), topicId: "t2" }]);
  let firstMs = 0;
  harness.refreshTopics = async () => {
    firstMs ||= harness.clock.nowMs;
    const waitedMs = harness.clock.nowMs - firstMs;
    assert.equal(haltLines(harness).length, waitedMs > 12_000 ? 1 : haltLines(harness).length);
    if (waitedMs < 10_000) assert.deepEqual(haltLines(harness), []);
    if (waitedMs >= 30_000) harness.define(topicVersion({ topicId: "t2", name: "other" }));
  };
  await running(harness, () => harness.ids("t2").length > 0);
  assert.equal(haltLines(harness).length, 1);
  const resumed = harness.log.filter(({ event }) => event === "consumer.partition.resumed");
  assert.deepEqual(
    resumed.map(({ code, level }) => [code, level]),
    [["TOPIC_UNKNOWN", 30]],
  );
});

test("a block that a fault of Tidegate refuses stops only its partition, and the log has the stack", async () => {
  const harness = new ConsumerHarness({ partitionCount: 2 });
  const known = harness.topics.get.bind(harness.topics);
  harness.topics.get = (key) => {
    if (key === "bad/1") throw new TypeError("not a function");
    return known(key);
  };
  for (const partition of [0, 1]) harness.append([json(`a${partition}`)], { partition });
  harness.append([json("b"), { ...json("c"), topicId: "bad" }], { partition: 1 });
  for (const partition of [0, 1]) harness.append([json(`d${partition}`)], { partition });
  const consumer = await harness.drain();
  assert.deepEqual(harness.ids().toSorted(), ["a0", "a1", "d0"]);
  const [sound, stopped] = consumer.status().partitions;
  assert.deepEqual([sound?.halt, stopped?.halt?.code], [null, "BLOCK_POISON"]);
  assert.match(stopped?.halt?.message ?? "", /fault in Tidegate: TypeError: not a function/);
  assert.match(stopped?.halt?.resume ?? "", /upgrade.*or give the block up: tidegate stream accept-gap 1/);
  assert.match(JSON.stringify(haltLines(harness)), /"stack":"TypeError: not a function\\n/);
});

test("an owner that slept while another one committed and trimmed recovers, and reports no gap", async () => {
  const harness = new ConsumerHarness();
  for (const id of ["a", "b", "c"]) harness.append([json(id)]);
  const handle = harness.stream.open();
  let wakeUp = () => {};
  const asleep = new Promise<void>((resolve) => {
    wakeUp = resolve;
  });
  let reads = 0;
  const sleepy = Object.assign(handle, {
    waitForAppend: async () => {},
    read: async (...args: Parameters<StreamLog["read"]>) => {
      reads += 1;
      if (reads === 2) await asleep;
      return harness.stream.open().read(...args);
    },
  });
  const window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
  const sleeper = harness.consumer({
    stream: sleepy,
    window,
    registry: new Registry(),
    config: { readMaxEntries: 1 },
  });
  const run = sleeper.run();
  while (reads < 2) await new Promise((resolve) => setImmediate(resolve));
  await harness.drain();
  wakeUp();
  await sleeper.stop({ drain: true });
  await run;
  assert.deepEqual(harness.ids(), ["a", "b", "c"]);
  assert.deepEqual(sleeper.status().partitions[0]?.halt, null);
  assert.equal(sleeper.status().replayedBatches, 1);
  assert.ok(!harness.log.some(({ event }) => event === "consumer.partition.halted"));
});
