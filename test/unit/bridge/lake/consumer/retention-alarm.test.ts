import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pino } from "pino";
import { Registry } from "prom-client";
import type { Consumer } from "../../../../../bridge/lake/consumer/consumer.ts";
import type { ConsumerStatus } from "../../../../../bridge/lake/consumer/consumer-status.ts";
import { RetentionAlarm } from "../../../../../bridge/lake/consumer/retention-alarm.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";

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

  test("is logged once when messages wait longer than half of the retention, and again after an end", async () => {
    const { alarm, lines, registry } = alarmOf(24 * hourMs);
    const checkAfter = (hours: number): number => {
      clock.nowMs = cursor.filedUpToMs + hours * hourMs;
      alarm.check();
      return lines.length;
    };
    assert.deepEqual([checkAfter(0), checkAfter(12), checkAfter(12.1), checkAfter(20)], [0, 0, 1, 1]);
    const { level, partition, unfiledMs, retentionMs, msg } = lines[0] ?? {};
    assert.deepEqual([level, partition, unfiledMs, retentionMs], [50, 7, 12.1 * hourMs, 24 * hourMs]);
    assert.match(String(msg), /lost.*raise the retention/);
    assert.match(await registry.metrics(), /tidegate_consumer_retention_endangered 1/);
    assert.match(await registry.metrics(), /tidegate_consumer_unfiled_ms\{partition="7"\} 72000000/);
    assert.deepEqual([checkAfter(1), checkAfter(13)], [1, 2]);
  });

  test("is silent if nothing is known, if the partition is finished, or if the stream forgets nothing", async () => {
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

describe("the consumer knows how long messages may have waited", () => {
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

  test("the time grows while the lake is away, although nothing is read, and ends when the lake is back", async () => {
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
    // Repeated recoveries must not reset the time.
    await until(() => harness.waits > 50 && failures());
    assert.equal(first(consumer.status()).isEndangered, true);
    harness.storeFault = () => null;
    await until(() => harness.ids().length === 2);
    await until(() => first(consumer.status()).unfiledMs <= 2000);
    await consumer.stop({ drain: false });
    await run;
  });

  for (const refused of ["everything", "writing"] as const)
    test(`also if the stream only tells that all was read, and the lake refuses ${refused}`, async () => {
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

  /** The first partition stopped 13 hours ago, after a committed batch. */
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

  test("a stopped partition is endangered if the stream only tells that all was read", async () => {
    const harness = new ConsumerHarness();
    harness.tellsReadingOnly = true;
    await withStoppedPartition(harness, async () => {
      const waits = harness.waits;
      await until(() => harness.waits > waits + 50);
    });
  });

  test("a stopped partition is endangered, and one with nothing to read is not", async () => {
    const harness = new ConsumerHarness({ partitionCount: 2 });
    await withStoppedPartition(harness, (consumer) =>
      until(() => consumer.status().partitions[1]?.isEndangered === false),
    );
  });

  test("a commit shortens the time, although the stream never runs dry", async () => {
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

  test("the time is the age of the waiting entry, also if another process left it unfiled", async () => {
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
