import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pino } from "pino";
import { Registry } from "prom-client";
import type { Consumer } from "../../../bridge/consumer/consumer.ts";
import type { ConsumerStatus } from "../../../bridge/consumer/consumer-status.ts";
import { RetentionAlarm } from "../../../bridge/consumer/retention-alarm.ts";
import { ConsumerHarness, json } from "../../support/consumer-harness.ts";

const hourMs = 3_600_000;

describe("the alarm", () => {
  const clock = { nowMs: 1_000_000 * hourMs };
  const cursor = { partition: 7, filedUpToMs: clock.nowMs, isFinished: false };
  const alarmOf = (retentionMs: number | undefined) => {
    const lines: Record<string, unknown>[] = [];
    const logger = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
    const registry = new Registry();
    const stream = retentionMs === undefined ? {} : { retentionMs };
    const elapsedMs = () => clock.nowMs;
    const alarm = new RetentionAlarm({ stream, cursors: () => [cursor], logger, registry, elapsedMs });
    return { alarm, lines, registry };
  };

  test("is told once as soon as something waits for more than half of the retention, and again after it was over", async () => {
    const { alarm, lines, registry } = alarmOf(24 * hourMs);
    const checkAfter = (hours: number): number => {
      clock.nowMs = cursor.filedUpToMs + hours * hourMs;
      alarm.check();
      return lines.length;
    };
    assert.deepEqual([checkAfter(0), checkAfter(12), checkAfter(12.1), checkAfter(20)], [0, 0, 1, 1]);
    const { level, partition, unfiledMs, retentionMs, msg } = lines[0] ?? {};
    assert.deepEqual([level, partition, unfiledMs, retentionMs], [50, 7, 12.1 * hourMs, 24 * hourMs]);
    assert.match(String(msg), /lost.*raise the stream's retention/);
    assert.match(await registry.metrics(), /tidegate_consumer_retention_endangered 1/);
    assert.match(await registry.metrics(), /tidegate_consumer_unfiled_ms\{partition="7"\} 72000000/);
    assert.deepEqual([checkAfter(1), checkAfter(13)], [1, 2]);
  });

  test("is not told where nothing is known, where the partition is finished, or where the stream forgets nothing", async () => {
    const { alarm, registry } = alarmOf(24 * hourMs);
    const endless = alarmOf(undefined);
    clock.nowMs = cursor.filedUpToMs + 100 * hourMs;
    assert.equal(alarm.isEndangered({ ...cursor, filedUpToMs: null }), false);
    assert.equal(alarm.unfiledMs({ ...cursor, filedUpToMs: null }), null);
    assert.equal(alarm.isEndangered({ ...cursor, isFinished: true }), false);
    assert.equal(endless.alarm.isEndangered(cursor), false);
    assert.match(await endless.registry.metrics(), /tidegate_consumer_retention_endangered 0/);
    cursor.isFinished = true;
    assert.doesNotMatch(await registry.metrics(), /unfiled_ms\{/);
    cursor.isFinished = false;
  });
});

describe("the consumer knows for how long something waits to be filed", () => {
  const until = async (isReached: () => boolean) => {
    for (let turns = 0; !isReached(); turns++) {
      assert.ok(turns < 5000, "never reached");
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const first = (status: ConsumerStatus) => {
    const { unfiledMs = null, isEndangered } = status.partitions[0] ?? {};
    return { unfiledMs: unfiledMs ?? Number.NaN, isEndangered };
  };

  test("while the lake is away it grows, though nothing is read; when it is back it is over", async () => {
    const harness = new ConsumerHarness();
    harness.retentionMs = 24 * hourMs;
    const consumer = harness.consumer({ config: { maxBatchAgeMs: 1000 } });
    const run = consumer.run();
    harness.append([json("a")]);
    await until(() => harness.commits().length === 1);
    await until(() => first(consumer.status()).unfiledMs <= 2000);
    harness.storeFault = () => "before";
    harness.append([json("b")]);
    const failures = () => consumer.status().state === "backing-off";
    await until(failures);
    assert.equal(first(consumer.status()).isEndangered, false);
    harness.clock.nowMs += 13 * hourMs;
    assert.ok(first(consumer.status()).unfiledMs >= 13 * hourMs);
    assert.equal(first(consumer.status()).isEndangered, true);
    // Recovering again and again, it finds nothing out that would make it forget that.
    await until(() => harness.waits > 50 && failures());
    assert.equal(first(consumer.status()).isEndangered, true);
    harness.storeFault = () => null;
    await until(() => harness.ids().length === 2);
    await until(() => first(consumer.status()).unfiledMs <= 2000);
    await consumer.stop({ drain: false });
    await run;
  });

  for (const refused of ["everything", "writing"] as const)
    test(`also where the stream only tells that all was read, and the lake refuses ${refused}`, async () => {
      const harness = new ConsumerHarness();
      harness.retentionMs = 24 * hourMs;
      harness.tellsReadingOnly = true;
      const consumer = harness.consumer({ config: { maxBatchAgeMs: 1000 } });
      const run = consumer.run();
      await until(() => first(consumer.status()).unfiledMs <= 2000);
      harness.storeFault = (operation) =>
        refused === "everything" || operation.startsWith("put") ? "before" : null;
      harness.append([json("a")]);
      await until(() => consumer.status().state === "backing-off");
      harness.clock.nowMs += 13 * hourMs;
      const waits = harness.waits;
      await until(() => harness.waits > waits + 50);
      assert.equal(first(consumer.status()).isEndangered, true);
      harness.storeFault = () => null;
      await until(() => harness.ids().length === 1);
      await until(() => first(consumer.status()).unfiledMs <= 2000);
      await consumer.stop({ drain: false });
      await run;
    });

  /** Its first partition stopped 13 hours ago, behind a committed batch. */
  async function withStoppedPartition(
    harness: ConsumerHarness,
    work: (consumer: Consumer) => Promise<void>,
  ): Promise<void> {
    harness.retentionMs = 24 * hourMs;
    const consumer = harness.consumer();
    const run = consumer.run();
    harness.append([json("a")]);
    await until(() => harness.commits().length === 1);
    harness.stream.store(0, Uint8Array.of(1, 2, 3));
    await until(() => consumer.status().partitions[0]?.state === "stopped");
    harness.clock.nowMs += 13 * hourMs;
    await work(consumer);
    assert.equal(first(consumer.status()).isEndangered, true);
    await consumer.stop({ drain: false });
    await run;
  }

  test("a partition that stopped is endangered, where the stream only tells that all was read", async () => {
    const harness = new ConsumerHarness();
    harness.tellsReadingOnly = true;
    await withStoppedPartition(harness, async () => {
      const waits = harness.waits;
      await until(() => harness.waits > waits + 50);
    });
  });

  test("a partition that stopped is endangered, and one that has nothing to read is not", async () => {
    const harness = new ConsumerHarness({ partitionCount: 2 });
    await withStoppedPartition(harness, (consumer) =>
      until(() => consumer.status().partitions[1]?.isEndangered === false),
    );
  });

  test("a commit moves it on, though the stream never runs dry", async () => {
    const harness = new ConsumerHarness();
    harness.retentionMs = 24 * hourMs;
    harness.append([json("a")]);
    harness.clock.nowMs += 20 * hourMs;
    harness.append([json("b")]);
    harness.stream.store(0, Uint8Array.of(1, 2, 3));
    const consumer = harness.consumer({ config: { maxBatchAgeMs: 1000 } });
    const run = consumer.run();
    await until(() => harness.ids().length === 2);
    await until(() => consumer.status().partitions[0]?.state === "stopped");
    assert.equal(consumer.status().partitions[0]?.isEndangered, false);
    assert.ok(first(consumer.status()).unfiledMs < hourMs);
    await consumer.stop({ drain: false });
    await run;
  });

  test("what waits is as old as its entry, also where another process left it behind", async () => {
    const harness = new ConsumerHarness();
    harness.retentionMs = 24 * hourMs;
    harness.append([json("a")]);
    harness.clock.nowMs += 20 * hourMs;
    harness.append([json("b")]);
    const consumer = harness.consumer({ config: { maxBatchAgeMs: 60_000 } });
    assert.deepEqual(consumer.status().partitions, []);
    const run = consumer.run();
    await until(() => consumer.status().partitions[0]?.isEndangered === true);
    await until(() => harness.ids().length === 2);
    await until(() => consumer.status().partitions[0]?.isEndangered === false);
    await consumer.stop({ drain: false });
    await run;
  });
});
