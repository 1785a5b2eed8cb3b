import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Registry } from "prom-client";
import { BridgeError } from "../../../../../bridge/errors.ts";
import type { Consumer } from "../../../../../bridge/lake/consumer/consumer.ts";
import { createAttemptFile } from "../../../../../bridge/lake/consumer/guard/attempt-file.ts";
import type { Attempt, AttemptStore } from "../../../../../bridge/lake/consumer/guard/poison-guard.ts";
import type { Row } from "../../../../../bridge/tail/row.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";
import { JsonBatchWriter } from "../../../../support/json-lake.ts";
import { MovingLeases } from "../../../../support/moving-leases.ts";

class MemoryAttempts implements AttemptStore {
  attempt: Attempt | null = null;
  saves = 0;

  async load(): Promise<Attempt | null> {
    return this.attempt;
  }

  async save(attempt: Attempt): Promise<void> {
    this.attempt = attempt;
    this.saves += 1;
  }

  async clear(): Promise<void> {
    this.attempt = null;
  }
}

/** A message that kills every process. */
class Death extends BridgeError {
  constructor() {
    super("STORE_FLUSH_FAILED", "SIGSEGV", { retryable: false });
  }
}

/**
 * A writer that kills its process because of one message: when the row is added, or only when files are
 * written.
 */
class DeadlyWriter extends JsonBatchWriter {
  readonly #deadlyId: string;
  readonly #dies: "adding" | "writing";
  #isDoomed = false;

  constructor(harness: ConsumerHarness, deadlyId: string, dies: "adding" | "writing") {
    super(harness.store, () => `p${Math.random()}`);
    this.#deadlyId = deadlyId;
    this.#dies = dies;
  }

  override add(...[topic, row]: Parameters<JsonBatchWriter["add"]>): void {
    if (isMessage(row, this.#deadlyId)) {
      if (this.#dies === "adding") throw new Death();
      this.#isDoomed = true;
    }
    super.add(topic, row);
  }

  override async write(): ReturnType<JsonBatchWriter["write"]> {
    if (this.#isDoomed) throw new Death();
    return super.write();
  }
}

function isMessage(row: Row, id: string): boolean {
  return String(row.messageId) === id;
}

/** Starts processes one after another until one lives long enough to drain the stream. */
async function superviseUntilDrained(
  harness: ConsumerHarness,
  attempts: AttemptStore,
  dies: "adding" | "writing",
): Promise<{ deaths: number; last: Consumer }> {
  for (let deaths = 0; deaths < 60; deaths++) {
    const last = harness.consumer({
      attempts,
      batch: new DeadlyWriter(harness, "poison", dies),
      registry: new Registry(),
      config: { readMaxEntries: 8 },
    });
    const run = last.run().then(
      () => true,
      () => false,
    );
    await last.stop({ drain: true });
    if (await run) return { deaths, last };
  }
  throw new Error("it dies for ever");
}

for (const dies of ["adding", "writing"] as const)
  test(`a block that kills the process while ${dies} halts only its partition; everything else is filed`, async () => {
    const harness = new ConsumerHarness({ partitionCount: 2 });
    for (let block = 0; block < 30; block++)
      for (const partition of [0, 1]) {
        const isPoison = partition === 1 && block === 17;
        harness.append([json(isPoison ? "poison" : `m${partition}-${block}`)], { partition });
      }
    const attempts = new MemoryAttempts();
    const { deaths, last } = await superviseUntilDrained(harness, attempts, dies);
    const [sound, poisoned] = last.status().partitions;
    assert.deepEqual(
      [sound?.state, poisoned?.state, poisoned?.halt?.code],
      ["running", "stopped", "BLOCK_POISON"],
    );
    assert.match(poisoned?.halt?.resume ?? "", /tidegate stream accept-gap 1/);
    assert.ok(
      harness.log.some(({ event, code }) => event === "consumer.partition.halted" && code === "BLOCK_POISON"),
    );
    assert.deepEqual(harness.ids().filter((id) => id.startsWith("m0-")).length, 30);
    assert.deepEqual(
      harness.ids().filter((id) => id.startsWith("m1-")),
      Array.from({ length: 17 }, (_, block) => `m1-${block}`),
    );
    assert.ok(deaths > 3 && deaths < 40, `${deaths} deaths`);

    const given = await acceptedBehind(harness, attempts, dies);
    assert.equal(given, 1);
    assert.equal(harness.ids().length, 59, "all but the poison are filed");
  });

/** As an operator does. The halt is there at once after a start. */
async function acceptedBehind(
  harness: ConsumerHarness,
  attempts: MemoryAttempts,
  dies: "adding" | "writing",
): Promise<number> {
  const batch = new DeadlyWriter(harness, "poison", dies);
  const consumer = harness.consumer({ attempts, batch, registry: new Registry() });
  const run = consumer.run();
  while (consumer.status().state !== "running") await new Promise((resolve) => setImmediate(resolve));
  assert.equal(consumer.status().partitions[1]?.halt?.code, "BLOCK_POISON");
  const { unaccounted } = await consumer.acceptGap(1);
  await consumer.stop({ drain: true });
  await run;
  return unaccounted;
}

test("a process that was killed twice in one batch continues with whole batches", async () => {
  const harness = new ConsumerHarness();
  const attempts = new MemoryAttempts();
  for (let block = 0; block < 20; block++) harness.append([json(`m${block}`)]);
  for (const _ of [1, 2]) {
    const batch = new DeadlyWriter(harness, "m3", "writing");
    await assert.rejects(harness.consumer({ attempts, batch, registry: new Registry() }).run(), /SIGSEGV/);
  }
  const consumer = await harness.drain({ attempts });
  assert.equal(harness.commits().length, 1);
  assert.equal(consumer.status().replayedBatches, 1, "the batch of the process before counts as read again");
  assert.equal(attempts.attempt, null, "an orderly end leaves none");
});

test("deaths keep counting if a process comes back with other partitions than it died with", async () => {
  const harness = new ConsumerHarness({ partitionCount: 3 });
  for (let block = 0; block < 8; block++)
    for (const partition of [0, 1, 2])
      harness.append([json(block === 5 && partition === 1 ? "poison" : `m${partition}-${block}`)], {
        partition,
      });
  const attempts = new MemoryAttempts();
  const shares = [[0, 1], [1], [1, 2], [0, 1, 2]];
  let deaths = 0;
  for (; deaths < 40; deaths++) {
    const leases = new MovingLeases(3);
    leases.give(shares[deaths % shares.length] ?? []);
    const batch = new DeadlyWriter(harness, "poison", "writing");
    const consumer = harness.consumer({ attempts, batch, leases, registry: new Registry() });
    const run = consumer.run().then(
      () => true,
      () => false,
    );
    await consumer.stop({ drain: true });
    if (await run) break;
  }
  assert.ok(deaths < 40, "it dies for ever");
  assert.ok(harness.ids().includes("m1-4"), "what stands before the block is filed");
  assert.equal(attempts.attempt?.poison?.key, `${harness.stream.streamId}/1`);
});

test("the attempt is saved once per batch and before its files, not per block", async () => {
  const harness = new ConsumerHarness();
  const attempts = new MemoryAttempts();
  for (let block = 0; block < 50; block++) harness.append([json(`m${block}`)]);
  await harness.drain({ attempts, config: { readMaxEntries: 1 } });
  assert.equal(attempts.saves, 2);
});

test("the attempt names the block before its messages are decoded", async () => {
  const harness = new ConsumerHarness();
  const attempts = new MemoryAttempts();
  const seen: unknown[] = [];
  const known = harness.topics.get.bind(harness.topics);
  harness.topics.get = (key) => {
    seen.push([attempts.attempt?.blocks, attempts.attempt?.key, attempts.attempt?.position]);
    return known(key);
  };
  const position = harness.append([json("a")]);
  await harness.drain({ attempts });
  assert.deepEqual(seen[0], [1, `${harness.stream.streamId}/0`, position]);
});

test("no attempt is left while a partition only waits: a kill then is not a death of its block", async () => {
  const harness = new ConsumerHarness();
  const attempts = new MemoryAttempts();
  harness.append([{ ...json("a"), topicId: "unknown" }]);
  const consumer = harness.consumer({ attempts, registry: new Registry() });
  const run = consumer.run();
  while (!consumer.status().partitions[0]?.halt) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(attempts.saves > 0, true);
  assert.equal(attempts.attempt, null);
  await consumer.stop({ drain: false });
  await run;
});

test("a consumer whose attempt cannot be saved works nevertheless, and logs it", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  const failing = () => Promise.reject(new Error("ENOSPC"));
  await harness.drain({ attempts: { load: failing, save: failing, clear: failing } });
  assert.deepEqual(harness.ids(), ["a"]);
  assert.ok(harness.log.some(({ event }) => event === "consumer.attempt.failed"));
});

test("the file returns the saved attempt, and null if it holds none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-attempt-"));
  try {
    const path = join(folder, "attempt.json");
    const store = createAttemptFile(path);
    assert.equal(await store.load(), null);
    const attempt: Attempt = {
      from: { "s/0": "1" },
      blocks: 3,
      limit: null,
      key: "s/0",
      position: "2",
      deaths: 1,
      deathsAlone: 0,
      poison: { key: "s/0", from: "1", position: "2" },
    };
    await store.save(attempt);
    assert.deepEqual(await store.load(), attempt);
    for (const damaged of ["", "{", "7", '{"from":{}}']) {
      writeFileSync(path, damaged);
      assert.equal(await store.load(), null);
    }
    await store.clear();
    await store.clear();
    assert.equal(await store.load(), null);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
