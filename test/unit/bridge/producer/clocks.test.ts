import assert from "node:assert/strict";
import { test } from "node:test";
import type { Registry } from "prom-client";
import { BridgeError } from "../../../../bridge/errors.ts";
import { producerBench } from "../../../support/producer-bench.ts";

const hourMs = 3_600_000;
const full = new BridgeError("STREAM_FULL", "full", { retryable: true });

async function unclaimed(registry: Registry): Promise<number | undefined> {
  const metric = await registry.getSingleMetric("tidegate_producer_unclaimed_messages_total")?.get();
  return metric?.values[0]?.value;
}

test("a producer that was idle for an hour takes a new id, unless its tail is unclaimed", async () => {
  const { clock, stream, publish, blocks } = producerBench();
  publish(1);
  await clock.advance(3_590_000);
  publish(2);
  await clock.advance(3_602_000);
  publish(3);
  await clock.advance(5);
  stream.faults.beforeAppend = () => {
    throw full;
  };
  await clock.advance(2 * 3_600_000);
  stream.faults.beforeAppend = undefined;
  publish(4);
  await clock.advance(5);
  const withMessages = blocks().filter((block) => block.messages.length > 0);
  const ids = withMessages.map((block) => block.header.producerId);
  assert.equal(ids[0], ids[1]);
  assert.notEqual(ids[1], ids[2]);
  assert.equal(ids[2], ids[3]);
  assert.deepEqual(
    withMessages.map(({ header }) => header.lastAcknowledgedSequence),
    [0, 2, 0, 1],
  );
});

test("a producer that could append nothing for half a day takes a new id, and reports the messages left unclaimed", async () => {
  const { clock, stream, producer, registry, publish, blocks, log } = producerBench();
  publish(1);
  publish(2);
  await clock.advance(5);
  stream.faults.beforeAppend = () => {
    throw full;
  };
  await clock.advance(11.9 * hourMs);
  stream.faults.beforeAppend = undefined;
  publish(3);
  await clock.advance(5);
  stream.faults.beforeAppend = () => {
    throw full;
  };
  await clock.advance(12 * hourMs);
  publish(4);
  await clock.advance(40_000);
  stream.faults.beforeAppend = undefined;
  publish(5);
  await clock.advance(5);
  const [first, kept, renewed] = blocks().map(({ header }) => header);
  assert.equal(kept?.producerId, first?.producerId, "11.9 h: nobody has forgotten it");
  assert.notEqual(renewed?.producerId, first?.producerId);
  assert.deepEqual([renewed?.lastAcknowledgedSequence, renewed?.acknowledgedMessages], [0, 0]);
  const told = log.filter(({ event }) => event === "producer.tail.unclaimed");
  assert.deepEqual(
    told.map(({ messages }) => messages),
    [1],
    "message 3: what came before it was claimed by its block",
  );
  assert.equal(producer.status().totals.unclaimedMessages, 1);
  assert.equal(await unclaimed(registry), 1);
});

test("a process that was stopped for half a day, or whose virtual machine stood still, takes a new id", async () => {
  const { clock, publish, blocks } = producerBench();
  publish(1);
  await clock.advance(5);
  // The claim of the tail comes due meanwhile.
  await clock.sleep(13 * hourMs);
  await clock.advance(5);
  publish(2);
  await clock.advance(5);
  // Only the wall clock shows it.
  clock.step(13 * hourMs);
  publish(3);
  await clock.advance(5);
  const ids = blocks().map(({ header }) => header.producerId);
  assert.equal(ids.length, 4);
  assert.equal(ids[1], ids[2], "the claim and the message after it");
  assert.equal(new Set(ids).size, 3);
});

test("steps of the wall clock delay nothing and end nothing early", async () => {
  for (const stepMs of [-10 * 24 * hourMs, 2 * hourMs]) {
    const { clock, stream, producer, publish, settled, blocks } = producerBench();
    publish(1);
    await clock.advance(5);
    clock.step(stepMs);
    await clock.advance(1000);
    assert.equal(blocks().length, 2, "the tail is claimed after 1 s");
    stream.faults.beforeAppend = () => {
      throw full;
    };
    publish(2);
    await clock.advance(5);
    clock.step(stepMs);
    await clock.advance(20_000);
    assert.deepEqual(settled, ["1"], "held for less than 30 s");
    assert.equal(producer.status().lanes[0]?.heldForMs, 20_000);
    await clock.advance(10_100);
    assert.deepEqual(settled, ["1", "2 PRODUCER_DEADLINE"]);
  }
});

test("a block tells its producer's clocks, and when the block before was acknowledged, if that was prompt", async () => {
  const { clock, stream, publish, blocks } = producerBench();
  const bootMs = clock.elapsedMs();
  const wallMs = clock.now();
  publish(1);
  await clock.advance(5);
  clock.step(7_200_000);
  publish(2);
  await clock.advance(5);
  let release = (): void => {};
  stream.faults.afterAppend = () =>
    new Promise<void>((resolve) => {
      release = resolve;
    });
  publish(3);
  await clock.advance(10_006);
  release();
  await clock.advance(0);
  stream.faults.afterAppend = undefined;
  publish(4);
  await clock.advance(5);
  const times = blocks().map(({ header }) => header.time);
  const { bootId } = clock;
  assert.deepEqual(times, [
    { bootId, wallMs: wallMs + 5, stampMs: bootMs + 5, acknowledgedAtMs: 0 },
    { bootId, wallMs: wallMs + 7_200_010, stampMs: bootMs + 10, acknowledgedAtMs: bootMs + 6 },
    { bootId, wallMs: wallMs + 7_200_015, stampMs: bootMs + 15, acknowledgedAtMs: bootMs + 11 },
    { bootId, wallMs: wallMs + 7_210_021, stampMs: bootMs + 10_021, acknowledgedAtMs: 0 },
  ]);
});
