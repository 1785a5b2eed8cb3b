import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Registry } from "prom-client";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { noCounters } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { LakeCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import type { Consumer } from "../../../../../bridge/lake/consumer/consumer.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { deviceHash } from "../../../../../bridge/streams/device-hash.ts";
import { committedFiles } from "../../../../support/committed-rows.ts";
import { ConsumerHarness, json, startMs } from "../../../../support/consumer-harness.ts";
import type { StoreFault, StoreOperation } from "../../../../support/memory-object-store.ts";

const hourMs = 3_600_000;

async function until(isReached: () => boolean): Promise<void> {
  for (let turns = 0; !isReached(); turns++) {
    assert.ok(turns < 5000, "never reached");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The first `times` calls that match fail. */
function failing(
  harness: ConsumerHarness,
  operation: StoreOperation,
  path: RegExp,
  fault: StoreFault,
  times: number,
) {
  const struck: string[] = [];
  harness.storeFault = (called, at) => {
    if (called !== operation || !path.test(at) || struck.length >= times) return null;
    struck.push(at);
    return fault;
  };
  return struck;
}

/** Everything is filed once, and every table shows it. */
function assertWhole(harness: ConsumerHarness, ids: readonly string[]): void {
  assert.deepEqual(harness.ids(), ids);
  const entries = [...harness.store.objects.keys()].filter((path) =>
    path.startsWith("telemetry/_delta_log/"),
  );
  const logged = entries
    .map((path) => Buffer.from(harness.store.objects.get(path)?.bytes ?? []).toString())
    .join("");
  const files = harness.commits().flatMap(committedFiles);
  for (const { table, add } of files)
    if (table === "t1")
      assert.equal(logged.split(`"path":"${add.path}"`).length, 2, `${add.path} is published once`);
}

test("a failed commit or loop is logged as a warning, and its end as well", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  failing(harness, "putIfAbsent", /^_commits\/\d/, "before", 5);
  await harness.drain();
  harness.append([json("b")]);
  failing(harness, "put", /event_date/, "before", 1);
  await harness.drain();
  assertWhole(harness, ["a", "b"]);
  const told = harness.log.filter(({ event }) => /failed|recovered$/.test(String(event)));
  assert.deepEqual(
    told.map(({ level, event }) => [level, event]),
    [
      [40, "consumer.commit.failed"],
      [30, "consumer.commit.recovered"],
      [40, "consumer.failed"],
      [30, "consumer.recovered"],
    ],
  );
});

for (const fault of ["before", "after"] as const) {
  describe(`the store fails ${fault} it did its work`, () => {
    const cases: readonly [string, StoreOperation, RegExp][] = [
      ["writing files", "put", /event_date/],
      ["creating the commit entry", "putIfAbsent", /^_commits\/\d/],
      ["publishing", "putIfAbsent", /_delta_log/],
      ["reading the commit log", "get", /^_commits/],
      ["reading a table's log", "get", /_delta_log/],
    ];
    for (const [name, operation, path] of cases) {
      test(`${name}: backs off, retries, files once`, async () => {
        const harness = new ConsumerHarness();
        harness.append([json("a"), json("b")]);
        const struck = failing(harness, operation, path, fault, 7);
        await harness.drain();
        harness.append([json("b"), json("c")]);
        await harness.drain();
        assert.ok(struck.length > 0 && (fault === "after" || struck.length === 7));
        assert.ok(harness.waits > 0 || struck.length < 2, "it waited before it tried again");
        assertWhole(harness, ["a", "b", "c"]);
      });
    }
  });
}

for (const [name, operation, path] of [
  ["writing files", "put", /event_date/],
  ["creating the commit entry", "putIfAbsent", /^_commits\/\d/],
  ["reading the commit log", "get", /^_commits/],
] as const)
  test(`while ${name} fails, the status says why nothing is filed`, async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    failing(harness, operation, path, "before", Number.POSITIVE_INFINITY);
    const consumer = harness.consumer();
    const run = consumer.run();
    try {
      await until(() => consumer.status().lastFailure !== null);
      assert.equal(consumer.status().lastFailure?.code, "STORE_UNAVAILABLE");
      assert.match(consumer.status().lastFailure?.message ?? "", /injected/);
    } finally {
      await consumer.stop({ drain: false });
      await run;
    }
  });

test("a commit whose answer was lost is recognised as ours, and nothing is read again", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  const struck = failing(harness, "get", /^_commits\/0+2\.json/, "before", 1);
  const consumer = await harness.drain();
  assert.equal(struck.length, 1, "the log could not be read behind the new entry");
  assert.equal(consumer.status().replayedBatches, 0);
  assertWhole(harness, ["a"]);
});

test("while nothing can be committed, nothing is trimmed and the position stays", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  let isDown = true;
  harness.storeFault = (_, path) => (isDown && path.startsWith("telemetry/event_date") ? "before" : null);
  const consumer = harness.consumer();
  const run = consumer.run();
  await until(() => consumer.status().replayedBatches >= 3);
  assert.equal(harness.stream.entries(0).length, 1);
  assert.equal(consumer.status().partitions[0]?.committed, "");
  assert.equal(consumer.status().lastFailure?.code, "STORE_UNAVAILABLE");
  isDown = false;
  await consumer.stop({ drain: true });
  await run;
  assertWhole(harness, ["a"]);
  assert.match(await harness.registry.metrics(), /tidegate_consumer_failures_total\{step="loop"\} [3-9]/);
});

test("a batch that could not be committed for an hour is given up and read again", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  let isDown = true;
  harness.storeFault = (operation, path) =>
    isDown && operation === "putIfAbsent" && path.startsWith("_commits/0") ? "before" : null;
  const consumer = harness.consumer();
  const run = consumer.run();
  await until(() => harness.log.some(({ event }) => event === "consumer.commit.failed"));
  harness.clock.nowMs += hourMs;
  await until(() => consumer.status().replayedBatches === 1);
  isDown = false;
  await consumer.stop({ drain: true });
  await run;
  assertWhole(harness, ["a"]);
  const files = [...harness.store.objects.keys()].filter((path) => path.startsWith("telemetry/event_date"));
  assert.ok(files.length > 1, "the given-up files are left for vacuum");
});

test("a failure that a retry cannot repair ends the consumer, which says why", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  const fatal = new BridgeError("STORE_FLUSH_FAILED", "injected", { retryable: false });
  failing(harness, "put", /event_date/, fatal, 1);
  const consumer = harness.consumer();
  await assert.rejects(consumer.run(), { code: "STORE_FLUSH_FAILED" });
  const status = consumer.status();
  assert.deepEqual([status.state, status.lastFailure?.code], ["stopped", "STORE_FLUSH_FAILED"]);
  await consumer.stop({ drain: true });
});

describe("the window", () => {
  test("lost before the ids of a commit were applied: nothing is filed twice", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    const { window } = harness;
    let failures = 2;
    const apply = window.apply.bind(window);
    window.apply = async (...args) => {
      if (failures-- > 0) throw new BridgeError("STORE_UNAVAILABLE", "injected", { retryable: true });
      return apply(...args);
    };
    await harness.drain();
    harness.append([json("a"), json("b")]);
    await harness.drain();
    assertWhole(harness, ["a", "b"]);
  });

  test("emptied during a batch: the next look-up detects the loss, and the window is seeded", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    await harness.drain();
    const consumer = harness.consumer({ registry: new Registry() });
    const run = consumer.run();
    await until(() => consumer.status().state === "running");
    await harness.window.beginSeed(0, "somebody else");
    harness.append([json("a"), json("b")]);
    await consumer.stop({ drain: true });
    await run;
    assertWhole(harness, ["a", "b"]);
  });

  test("knows the messages of an earlier stream, also after a restart, while the span reaches back to them", async () => {
    const old = new ConsumerHarness();
    const devices = ["d1", "d2", "d3", "d4"];
    const resend = (id: string, deviceId: string) => ({ ...json(id), deviceId });
    old.append(devices.map((deviceId) => resend("a", deviceId)));
    await old.drain();
    const fresh = new ConsumerHarness({
      partitionCount: 3,
      streamId: "cd".repeat(16),
      objects: old.store.objects,
    });
    const sendAll = (id: string) => {
      for (const deviceId of devices) {
        const partition = deviceHash(deviceId) % 3;
        fresh.append([resend(id, deviceId)], { partition });
      }
    };
    for (const minutes of [1, 30]) {
      fresh.clock.nowMs = startMs + minutes * 60_000;
      sendAll("a");
      fresh.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 3 });
      await fresh.drain();
      assert.equal(fresh.rows().length, 4, "nothing is filed again");
    }
    fresh.clock.nowMs = startMs + hourMs;
    sendAll("a");
    await fresh.drain();
    assert.equal(fresh.rows().length, 4, "nothing proves what passed until the new stream's first block");
    fresh.clock.nowMs += 60_000;
    sendAll("a");
    await fresh.drain();
    assert.equal(fresh.rows().length, 8);
  });

  test("one commit behind: gets that commit's ids, and is not seeded", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    await harness.drain();
    const before = harness.lastMove();
    harness.append([json("b")]);
    await harness.drain();
    const seedings = () => harness.log.filter(({ event }) => event === "consumer.window.seeded").length;
    assert.equal(seedings(), 1, "a window that is where it should be is taken as it is");
    const behind = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    await behind.beginSeed(0, "t");
    await behind.endSeed(0, "t", { chunks: 0, applied: before?.to ?? "", streamTimeMs: 0 });
    harness.window = behind;
    harness.append([json("b")]);
    await harness.drain();
    assert.deepEqual(harness.ids(), ["a", "b"]);
    assert.equal((await behind.status()).ids, 1, "b alone was applied; a was taken to be there");
    assert.ok(harness.log.some(({ event }) => event === "consumer.window.reapply"));
  });
});

test("a window that forgets early is logged once", async () => {
  const harness = new ConsumerHarness();
  harness.window = createMemoryWindow({ maxBytes: 100_000, partitionCount: 1 });
  for (let block = 0; block < 4; block++)
    harness.append(Array.from({ length: 2500 }, (_, index) => json(`${block}-${index}`)));
  const consumer = await harness.drain({ config: { readMaxEntries: 1, maxBatchBytes: 1 } });
  assert.equal(consumer.status().window?.isShort, true);
  assert.equal(harness.log.filter(({ event }) => event === "window.short").length, 1);
});

test("a failed trim is retried later", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  const trim = async () => {
    throw new BridgeError("STREAM_TIMEOUT", "injected", { retryable: true });
  };
  await harness.drain({ trim });
  assert.equal(harness.stream.entries(0).length, 1);
  assert.ok(harness.log.some(({ event }) => event === "consumer.trim.failed"));
  await harness.drain();
  assert.equal(harness.stream.entries(0).length, 0, "the next process trims it");
});

describe("a lost race", () => {
  const foreignMove = { from: "", to: "1", streamTimeMs: 0, producers: {}, counters: noCounters };

  test("for the next number, against a consumer of other partitions, has no effect", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    const other = new LakeCommitLog(harness.store, "lake", { create: true });
    let hasRaced = false;
    harness.storeFault = (operation, path) => {
      if (operation !== "put" || !path.startsWith("telemetry/event_date") || hasRaced) return null;
      hasRaced = true;
      const bytes = JSON.stringify({ ...foreignEntry(1), moves: { "other/0": foreignMove } });
      harness.store.objects.set(`_commits/${"1".padStart(20, "0")}.json`, {
        bytes: Buffer.from(bytes),
        modifiedAtMs: 0,
      });
      return null;
    };
    const consumer = await harness.drain();
    assert.equal((await other.load()).number, 2);
    assert.equal(consumer.status().replayedBatches, 0);
    assertWhole(harness, ["a"]);
  });

  test("against a consumer that moved the same partition: the batch is given up", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    const rival = harness.consumer({
      registry: new Registry(),
      window: createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 }),
    });
    let rivalRun: Promise<void> | undefined;
    let isRivalDone = false;
    const publish = async (consumer: Consumer) => {
      rivalRun ??= consumer.run();
      await consumer.stop({ drain: true });
      await rivalRun;
      isRivalDone = true;
    };
    const { JsonBatchWriter } = await import("../../../../support/json-lake.ts");
    const batch = new JsonBatchWriter(harness.store, () => `slow${Math.random()}`);
    const write = batch.write.bind(batch);
    batch.write = async () => {
      if (!isRivalDone) await publish(rival);
      return write();
    };
    const consumer = await harness.drain({ batch });
    assert.equal(consumer.status().replayedBatches, 1);
    assertWhole(harness, ["a"]);
  });
});

function foreignEntry(number: number) {
  return { format: 1, number, commitId: "foreign", committedAtMs: 0, tables: {} };
}
