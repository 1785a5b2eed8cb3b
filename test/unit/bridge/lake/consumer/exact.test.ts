import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exactSequenceMax } from "../../../../../bridge/block/sdk-sequence.ts";
import { LookUpBudget } from "../../../../../bridge/lake/consumer/ids/look-up-budget.ts";
import { exactEpochsMax } from "../../../../../bridge/lake/window/dedup-window.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { sequenceSpan } from "../../../../../devices/protocol/message-id.ts";
import { ConsumerHarness } from "../../../../support/consumer-harness.ts";
import {
  envelopes,
  exactHarness,
  oldDuplicates,
  reasons,
  sdk,
  sequences,
} from "../../../../support/exact-harness.ts";
import { publisherOf } from "../../../../support/publisher-of.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

const dayMs = 86_400_000;
describe("exact deduplication", () => {
  test("a resend is a duplicate long after the topic's window: in the batch, after the commit, after a restart", async () => {
    const harness = exactHarness();
    harness.append([sdk(5), sdk(6)]);
    harness.clock.nowMs += dayMs;
    harness.append([sdk(5)]);
    await harness.drain({ config: { maxBatchAgeMs: 10 * dayMs } });
    harness.clock.nowMs += dayMs;
    harness.append([sdk(5), sdk(7)]);
    const consumer = await harness.drain();
    assert.equal(await oldDuplicates(harness), 1);
    harness.clock.nowMs += dayMs;
    harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    harness.append([sdk(6), sdk(7), sdk(8)]);
    const { counters } = (await harness.drain()).status().partitions[0] ?? {};
    assert.deepEqual(sequences(harness), [5, 6, 7, 8]);
    assert.equal(consumer.status().partitions[0]?.counters.duplicates, 2);
    assert.equal(counters?.duplicates, 4);
  });

  test("sequences below the span are duplicates, unknown ones within the span are not", async () => {
    const harness = exactHarness();
    harness.append([sdk(1000)]);
    await harness.drain();
    harness.clock.nowMs += dayMs;
    harness.append([1, 0, -1].map((by) => sdk(1000 - sequenceSpan + by)));
    await harness.drain();
    assert.deepEqual(sequences(harness), [1000, 1000 - sequenceSpan + 1]);
  });

  test("messages past 2^31, 2^32 and up to the largest sequence are new, and their resends are duplicates", async () => {
    const harness = exactHarness();
    const sent = [2 ** 31, 2 ** 32, 2 ** 40, exactSequenceMax - 1].flatMap((edge) => [
      edge - 1,
      edge,
      edge + 1,
    ]);
    for (const sequence of [5, ...sent]) {
      for (let sending = 0; sending < 2; sending++) {
        harness.append([sdk(sequence)]);
        harness.clock.nowMs += dayMs;
        await harness.drain();
      }
    }
    assert.deepEqual(sequences(harness), [5, ...sent]);
  });

  test("a sequence above the largest one is remembered only for the window", async () => {
    const harness = exactHarness();
    for (const sequence of [exactSequenceMax + 1, exactSequenceMax + 6, 6]) {
      harness.append([sdk(sequence), sdk(sequence)]);
      harness.clock.nowMs += dayMs;
      await harness.drain();
    }
    harness.append([sdk(exactSequenceMax + 1)]);
    await harness.drain();
    const filed = [1, 6].map((by) => exactSequenceMax + by);
    assert.deepEqual(sequences(harness), [...filed, 6, exactSequenceMax + 1]);
  });

  test("the window decides first: the same id with another payload is id-reused there, and a duplicate after it", async () => {
    const harness = exactHarness();
    harness.append([sdk(5), sdk(5, { text: "other" })]);
    await harness.drain();
    assert.deepEqual(
      harness.rows().map(({ reason }) => reason),
      [null, "id-reused"],
    );
    harness.clock.nowMs += dayMs;
    harness.append([sdk(5, { text: "other" })]);
    await harness.drain();
    assert.equal(harness.rows().length, 2);
  });

  test("ids that are not the SDK's are remembered only for the window, whatever they look like", async () => {
    const harness = exactHarness();
    const foreign = [sdk(5, { said: null }), sdk(9, { said: 8 })];
    harness.append([...foreign, ...foreign]);
    await harness.drain();
    harness.clock.nowMs += dayMs;
    harness.append(foreign);
    await harness.drain();
    assert.deepEqual(sequences(harness), [5, 9, 5, 9]);
  });

  test("a quarantined message is remembered as well", async () => {
    const harness = exactHarness();
    const schema = { type: "object", required: ["n"] };
    harness.define(topicVersion({ ...envelopes, dedupe: "exact", version: 2, schema }));
    const bad = sdk(5, { text: "{}", topicVersion: 2 });
    harness.append([bad]);
    await harness.drain();
    harness.clock.nowMs += dayMs;
    harness.append([bad]);
    await harness.drain();
    assert.deepEqual(reasons(harness), [[5, "schema-violated"]]);
  });

  test("three outboxes that publish as one device in turns: a resend by each is a duplicate", async () => {
    const harness = exactHarness();
    for (let turn = 0; turn < 3; turn++)
      for (const epoch of [1, 2, 3]) {
        harness.append([sdk(turn, { epoch }), ...(turn > 0 ? [sdk(turn - 1, { epoch })] : [])]);
        harness.clock.nowMs += dayMs;
        await harness.drain();
      }
    assert.deepEqual(sequences(harness), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
  });

  test("of a device with many epochs, seeding keeps the newest ones", async () => {
    const harness = exactHarness();
    const last = exactEpochsMax + 3;
    for (let epoch = 1; epoch <= last; epoch++) {
      harness.append([sdk(7, { epoch })]);
      await harness.drain();
      harness.clock.nowMs += dayMs;
    }
    harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    const oldestKept = last - exactEpochsMax + 1;
    harness.append([sdk(7, { epoch: oldestKept }), sdk(7, { epoch: last }), sdk(6, { epoch: last })]);
    await harness.drain();
    assert.deepEqual(sequences(harness), [...Array<number>(last).fill(7), 6]);
  });

  test("a window that missed a commit gets its exact ids back, however much stream time the commit spans", async () => {
    const harness = exactHarness();
    const window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    harness.window = window;
    harness.append([sdk(1)]);
    await harness.drain();
    harness.append([sdk(2)]);
    harness.clock.nowMs += dayMs;
    harness.append([sdk(3)]);
    let missed = 0;
    const deaf: typeof window = {
      applied: (partition, committed) => window.applied(partition, committed),
      lookup: (...asked) => window.lookup(...asked),
      apply: async (...step) => (missed++ === 0 ? false : window.apply(...step)),
      beginSeed: (...begun) => window.beginSeed(...begun),
      seed: (...chunk) => window.seed(...chunk),
      endSeed: (...end) => window.endSeed(...end),
      forget: (partition) => window.forget(partition),
      status: () => window.status(),
      close: () => window.close(),
    };
    await harness.drain({ window: deaf, config: { maxBatchAgeMs: 10 * dayMs } });
    assert.ok(missed > 1, "the commit was applied again");
    assert.ok(harness.log.some(({ event }) => event === "consumer.window.reapply"));
    harness.clock.nowMs += dayMs;
    harness.append([sdk(2), sdk(3)]);
    await harness.drain();
    assert.deepEqual(sequences(harness), [1, 2, 3]);
  });

  test("a new stream knows the messages of the old one, however old", async () => {
    const old = exactHarness();
    old.append([sdk(5)]);
    await old.drain();
    const harness = exactHarness(old.store.objects);
    harness.clock.nowMs = old.clock.nowMs + 30 * dayMs;
    harness.append([sdk(5), sdk(6)]);
    await harness.drain();
    harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    harness.append([sdk(5), sdk(7)]);
    await harness.drain();
    assert.deepEqual(sequences(harness), [5, 6, 7]);
  });

  test("a topic that becomes exact knows messages filed since, and after a restart also earlier ones", async () => {
    const harness = new ConsumerHarness();
    harness.define(topicVersion(envelopes));
    harness.append([sdk(5)]);
    await harness.drain();
    harness.define(topicVersion({ ...envelopes, version: 2, dedupe: "exact" }));
    harness.clock.nowMs += dayMs;
    harness.append([sdk(6, { topicVersion: 2 })]);
    await harness.drain();
    harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    harness.clock.nowMs += dayMs;
    harness.append([sdk(5, { topicVersion: 2 }), sdk(6, { topicVersion: 2 })]);
    await harness.drain();
    assert.deepEqual(sequences(harness), [5, 6]);
    harness.define(topicVersion({ ...envelopes, version: 3 }));
    harness.append([sdk(6, { topicVersion: 3 })]);
    await harness.drain();
    assert.deepEqual(sequences(harness), [5, 6, 6], "back to the window: that is over");
  });
});

describe("reused ids with exact deduplication, after the topic's window", () => {
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

  test("an outbox restored from a backup: its 40 new readings are quarantined; their resends and old readings are not", async () => {
    const harness = exactHarness();
    const before = range(1, 100).map((sequence) => sdk(sequence));
    harness.append(before);
    await harness.drain();
    harness.clock.nowMs += dayMs;
    const eventTimeMs = harness.clock.nowMs;
    const again = range(61, 100).map((sequence) => sdk(sequence, { text: `new ${sequence}`, eventTimeMs }));
    harness.append([...again, ...before.slice(20), sdk(101)]);
    harness.append(again);
    await harness.drain();
    assert.deepEqual(
      reasons(harness),
      range(61, 100).map((sequence) => [sequence, "id-reused"]),
    );
    assert.deepEqual(sequences(harness), range(1, 101));
    harness.clock.nowMs += dayMs;
    harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    harness.append([...again, ...before, sdk(101)]);
    const { counters } = (await harness.drain()).status().partitions[0] ?? {};
    assert.equal(harness.rows().length, 141);
    assert.equal(
      counters?.read,
      (counters?.filed ?? 0) + (counters?.quarantined ?? 0) + (counters?.duplicates ?? 0),
    );
  });

  test("other content with the event time of the first is detected, also below the span and in the open batch", async () => {
    const harness = exactHarness();
    harness.append([sdk(5), sdk(900)]);
    harness.clock.nowMs += dayMs;
    for (let time = 0; time < 2; time++) {
      harness.append([sdk(5, { text: "in the batch" })]);
      harness.clock.nowMs += dayMs;
    }
    await harness.drain({ config: { maxBatchAgeMs: 10 * dayMs } });
    harness.clock.nowMs += dayMs;
    harness.append([sdk(5, { text: "in the window" }), sdk(6, { text: "never sent before" })]);
    await harness.drain();
    assert.deepEqual(
      reasons(harness),
      [5, 5, 6].map((sequence) => [sequence, "id-reused"]),
    );
    assert.equal(await oldDuplicates(harness), 0);
  });

  test("it is detected as well while the window knows the id with the first content and has forgotten the other one", async () => {
    const harness = exactHarness();
    harness.append([sdk(5), sdk(5, { text: "other" })]);
    await harness.drain();
    const { window } = harness;
    // Keys of reused ids are looked up without exact ids.
    const lookup: typeof window.lookup = async (partition, position, keys, exact) => {
      const hits = await window.lookup(partition, position, keys, exact);
      return exact || !hits ? hits : { ...hits, expiresAtSeconds: hits.expiresAtSeconds.map(() => 0) };
    };
    harness.window = new Proxy(window, {
      get: (_, name) => {
        const value: unknown = name === "lookup" ? lookup : Reflect.get(window, name, window);
        return typeof value === "function" ? value.bind(window) : value;
      },
    });
    harness.append([sdk(5, { text: "other" })]);
    await harness.drain();
    assert.deepEqual(reasons(harness), [[5, "id-reused"]]);
    assert.equal(await oldDuplicates(harness), 1);
  });

  test("a message that cannot be looked up, because its event time is far from the ingest time, is quarantined as exact-unsure", async () => {
    const harness = exactHarness();
    const unreadable = sdk(6, { eventTimeMs: -63_000_000_000_000 });
    const deadClock = sdk(5, { eventTimeMs: 1000 });
    harness.append([deadClock, unreadable]);
    await harness.drain();
    for (let time = 0; time < 2; time++) {
      harness.clock.nowMs += dayMs;
      harness.append([deadClock, deadClock, unreadable]);
      await harness.drain();
    }
    assert.deepEqual(sequences(harness), [5]);
    const unsure = (sequence: number) => [sequence, "exact-unsure"];
    const [first, ...others] = reasons(harness);
    assert.deepEqual(first, [6, "event-time-unreadable"]);
    assert.deepEqual(others, [5, 6, 5, 6].map(unsure));
  });

  test("above the limit of reads from the lake, messages are quarantined as exact-unsure, never dropped", async () => {
    const harness = exactHarness();
    harness.append([sdk(5)]);
    await harness.drain();
    harness.clock.nowMs += dayMs;
    harness.append([sdk(5), sdk(6)]);
    await harness.drain({ lookUpLimits: { burstBytes: 1, bytesPerSecond: 1 } });
    assert.deepEqual([sequences(harness), reasons(harness)], [[5, 6], [[5, "exact-unsure"]]]);
  });

  for (const isLost of [false, true])
    test(`a commit that is not published yet is published before the lake is read, ${isLost ? "for a lost window" : "for an old id"}`, async () => {
      const harness = exactHarness();
      harness.withPublisher = () => publisherOf(async () => ({ published: 0 }));
      for (const sequence of [4, 5, 6]) {
        harness.append([sdk(sequence)]);
        await harness.drain();
        harness.clock.nowMs += dayMs;
      }
      harness.append([sdk(4), sdk(7)]);
      if (isLost) harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
      // The commit came after this process had looked for unpublished commits at its start.
      let calls = 0;
      harness.withPublisher = (publisher) =>
        publisherOf(async () => (++calls === 1 ? { published: 0 } : publisher.publishPending()));
      await harness.drain();
      assert.deepEqual([sequences(harness), reasons(harness)], [[4, 5, 6, 7], []]);
    });

  test("while the lake cannot be read, the consumer waits, and afterwards knows the resend", async () => {
    const harness = exactHarness();
    harness.append([sdk(5)]);
    await harness.drain();
    harness.clock.nowMs += dayMs;
    harness.append([sdk(5), sdk(6)]);
    let failures = 0;
    harness.storeFault = (operation, path) => {
      if (operation !== "get" || !path.endsWith(".parquet") || failures === 3) return null;
      failures += 1;
      return "before";
    };
    await harness.drain();
    assert.equal(failures, 3);
    assert.deepEqual([sequences(harness), reasons(harness)], [[5, 6], []]);
  });
});

test("look-ups are bounded by bytes and time", () => {
  const clock = { nowMs: 0 };
  const mib = 1024 * 1024;
  const budget = new LookUpBudget({ burstBytes: 10 * mib, bytesPerSecond: mib }, () => clock.nowMs);
  assert.equal(budget.take(10 * mib), false, "each also reads a table's log");
  assert.equal(budget.take(7 * mib), true);
  assert.equal(budget.take(2 * mib), false);
  clock.nowMs = 1000;
  assert.equal(budget.take(2 * mib), true);
  clock.nowMs = 1_000_000;
  assert.equal(budget.take(9 * mib), true, "and a pause the burst at most");
  assert.equal(budget.take(0), false);
});
