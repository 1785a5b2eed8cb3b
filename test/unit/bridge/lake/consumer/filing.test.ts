import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { ConsumerHarness, json, startMs } from "../../../../support/consumer-harness.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

const minuteMs = 60_000;
const hourMs = 3_600_000;

test("messages are filed in order, under their topic, and the books balance", async () => {
  const harness = new ConsumerHarness();
  harness.define(topicVersion({ topicId: "t2", name: "other" }));
  harness.append([json("a"), json("b"), { ...json("c"), topicId: "t2" }]);
  harness.append([json("d")]);
  const consumer = await harness.drain();
  assert.deepEqual(harness.ids("t1"), ["a", "b", "d"]);
  assert.deepEqual(harness.ids("t2"), ["c"]);
  const [partition] = consumer.status().partitions;
  assert.deepEqual(partition?.counters, {
    read: 4,
    filed: 4,
    duplicates: 0,
    quarantined: 0,
    resent: 0,
    misrouted: 0,
    unaccounted: 0,
  });
  assert.equal(harness.commits().length, 1);
  assert.ok(harness.store.objects.has("telemetry/_delta_log/00000000000000000000.json"), "it is published");
  assert.deepEqual(harness.stream.entries(0), [], "the stream is trimmed up to the commit");
});

test("rows with event times outside of the bounds are counted, by topic and side", async () => {
  const harness = new ConsumerHarness();
  harness.define(
    topicVersion({ topicId: "t2", name: "narrow", eventPastMs: minuteMs, eventAheadMs: minuteMs }),
  );
  const narrow = (id: string, ts: unknown) => ({ ...json(id, { ts }), topicId: "t2" });
  harness.append([json("a"), json("b", { ts: 0 }), narrow("c", startMs), narrow("d", startMs - minuteMs)]);
  harness.append([narrow("e", startMs - minuteMs - 1), narrow("f", startMs + minuteMs + 1)]);
  harness.append([narrow("g", startMs + minuteMs + 1), narrow("h", "soon")]);
  const consumer = await harness.drain();
  assert.deepEqual(consumer.status().eventTimesOutside, [
    { topic: "narrow", past: 1, ahead: 2, unread: 1 },
    { topic: "telemetry", past: 1, ahead: 0, unread: 0 },
  ]);
  const metric = await harness.registry.getSingleMetric("tidegate_consumer_event_times_outside_total")?.get();
  assert.deepEqual(
    metric?.values.map(({ labels, value }) => [labels["topic"], labels["side"], value]),
    [
      ["telemetry", "past", 1],
      ["narrow", "past", 1],
      ["narrow", "ahead", 2],
      ["narrow", "unread", 1],
    ],
  );
});

describe("deduplication", () => {
  test("a resend is a duplicate: in its block, in its batch, after its commit, after a restart", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a"), json("a")]);
    harness.append([json("a")]);
    await harness.drain();
    harness.append([json("a")]);
    await harness.drain();
    harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    harness.append([json("a")]);
    const consumer = await harness.drain();
    assert.deepEqual(harness.ids(), ["a"]);
    assert.equal(consumer.status().partitions[0]?.counters.duplicates, 4);
  });

  test("a resend under other bounds of event times is the same message, also after a restart", async () => {
    const harness = new ConsumerHarness();
    harness.define(topicVersion({ version: 2, eventPastMs: 400 * 24 * hourMs }));
    const old = json("a", { ts: startMs - 30 * 24 * hourMs });
    for (const topicVersion of [1, 2, 1]) harness.append([{ ...old, topicVersion }]);
    await harness.drain();
    harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    harness.append([{ ...old, topicVersion: 2 }]);
    const { counters } = (await harness.drain()).status().partitions[0] ?? {};
    assert.deepEqual(
      harness.rows().map(({ eventTimeOutside }) => eventTimeOutside),
      [true],
    );
    assert.deepEqual([counters?.filed, counters?.duplicates, counters?.quarantined], [1, 3, 0]);
  });

  test("the same id of another device or another topic is another message", async () => {
    const harness = new ConsumerHarness();
    harness.define(topicVersion({ topicId: "t2", name: "other" }));
    harness.append([json("a"), { ...json("a"), deviceId: "d2" }, { ...json("a"), topicId: "t2" }]);
    await harness.drain();
    assert.equal(harness.rows().length, 3);
  });

  test("an id is remembered for its topic's window of stream time, to the second", async () => {
    const harness = new ConsumerHarness();
    harness.define(topicVersion({ topicId: "t2", name: "short", dedupeWindowMs: minuteMs }));
    const send = () => harness.append([{ ...json("a"), topicId: "t2" }, json("a")]);
    send();
    await harness.drain();
    harness.clock.nowMs = startMs + minuteMs - 1;
    send();
    await harness.drain();
    assert.equal(harness.rows().length, 2);
    harness.clock.nowMs = startMs + minuteMs;
    send();
    await harness.drain();
    assert.deepEqual(
      harness.rows().map(({ table }) => table),
      ["t2", "t1", "t2"],
    );
  });

  test("the wall clock forgets nothing: blocks read hours late are deduplicated by their append time", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    await harness.drain();
    harness.append([json("a")]);
    harness.clock.nowMs += 5 * hourMs;
    await harness.drain();
    assert.deepEqual(harness.ids(), ["a"]);
  });

  test("within one batch that spans more than a window, the id is filed again", async () => {
    const harness = new ConsumerHarness();
    for (const hours of [0, 0.5, 2, 2.5]) {
      harness.clock.nowMs = startMs + hours * hourMs;
      harness.append([json("a")]);
    }
    await harness.drain();
    assert.deepEqual(harness.ids(), ["a", "a"]);
    assert.equal(harness.commits().length, 1);
  });

  test("an id with another payload is quarantined as reused, and its resend is a duplicate", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a", { n: 1 }), json("a", { n: 2 }), json("a", { n: 2 }), json("a", { n: 1 })]);
    harness.append([json("a", { n: 3 })]);
    await harness.drain();
    harness.append([json("a", { n: 3 }), json("a", { n: 1 }), json("a", { n: 2 }), json("a", { n: 4 })]);
    harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
    const consumer = await harness.drain();
    const reasons = harness.rows().map(({ table, reason }) => [table, reason]);
    assert.deepEqual(reasons, [
      ["t1", null],
      ["_quarantine", "id-reused"],
      ["_quarantine", "id-reused"],
      ["_quarantine", "id-reused"],
    ]);
    const counters = consumer.status().partitions[0]?.counters;
    assert.deepEqual([counters?.filed, counters?.quarantined, counters?.duplicates], [1, 3, 5]);
  });

  test("a bad message with a readable id is quarantined once", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a", { ts: "soon" }), json("a", { ts: "soon" })]);
    await harness.drain();
    harness.append([json("a", { ts: "soon" })]);
    await harness.drain();
    assert.deepEqual(
      harness.rows().map(({ table, reason }) => [table, reason]),
      [["_quarantine", "event-time-unreadable"]],
    );
  });

  test("messages without an id are all kept: raw ones filed, others quarantined", async () => {
    const harness = new ConsumerHarness();
    harness.define(topicVersion({ topicId: "t2", name: "raw", format: "raw" }));
    const raw = { topicId: "t2", payload: Buffer.from("same") };
    const broken = { payload: Buffer.from("{") };
    harness.append([raw, raw, broken, broken]);
    await harness.drain();
    assert.deepEqual(
      harness.rows().map(({ table, reason }) => [table, reason]),
      [
        ["t2", null],
        ["t2", null],
        ["_quarantine", "payload-undecodable"],
        ["_quarantine", "payload-undecodable"],
      ],
    );
  });
});

describe("blocks", () => {
  test("a resent block is dropped whole, also by the next process", async () => {
    const harness = new ConsumerHarness();
    harness.define(topicVersion({ format: "raw" }));
    harness.append([{}, {}]);
    harness.resendLast();
    await harness.drain();
    harness.append([{}]);
    await harness.drain();
    harness.append([{}], { sequence: 2 });
    const consumer = await harness.drain();
    assert.equal(harness.rows().length, 3);
    assert.equal(consumer.status().partitions[0]?.counters.resent, 3);
  });

  test("a block of another partition is counted and not filed", async () => {
    const harness = new ConsumerHarness({ partitionCount: 2 });
    harness.append([json("a"), json("b")], { partition: 1, landsIn: 0 });
    harness.append([json("c")], { partition: 0 });
    const consumer = await harness.drain();
    assert.deepEqual(harness.ids(), ["c"]);
    assert.equal(consumer.status().partitions[0]?.counters.misrouted, 2);
  });

  test("an empty block moves only the position", async () => {
    const harness = new ConsumerHarness();
    const position = harness.append([]);
    await harness.drain();
    assert.equal(harness.lastMove()?.to, position);
    assert.deepEqual(harness.commits()[0]?.tables, {});
  });

  test("of version 1: stream time is the append time; it never goes back, nor more than a minute ahead of the consumer's clock", async () => {
    const harness = new ConsumerHarness();
    harness.isFirstVersion = true;
    harness.clock.nowMs = startMs + hourMs;
    harness.append([json("a")]);
    harness.clock.nowMs = startMs;
    await harness.drain();
    assert.equal(harness.lastMove()?.streamTimeMs, startMs + minuteMs);
    harness.append([json("b")]);
    await harness.drain();
    assert.equal(harness.rows()[1]?.streamTimeMs, startMs + minuteMs);
    assert.equal(harness.rows()[1]?.ingestTimeMs, startMs, "right again");
  });

  test("a message is decoded by the version that its block names", async () => {
    const harness = new ConsumerHarness();
    harness.define(topicVersion({ version: 2, idPath: "key" }));
    const old = json("a");
    const fresh = { topicVersion: 2, payload: Buffer.from(`{"key":"b","ts":${startMs}}`) };
    harness.append([old, fresh, old, fresh]);
    await harness.drain();
    assert.deepEqual(harness.ids(), ["a", "b"]);
    assert.equal(harness.commits()[0]?.tables["t1"]?.version, 2);
  });

  test("a producer that sent nothing for a day of stream time is forgotten", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")], { producerId: "00000000000000aa" });
    harness.append([], { producerId: "00000000000000aa" });
    await harness.drain();
    harness.clock.nowMs += 25 * hourMs;
    harness.append([json("b")], { producerId: "00000000000000bb" });
    await harness.drain();
    assert.deepEqual(Object.keys(harness.lastMove()?.producers ?? {}), ["00000000000000bb"]);
  });
});
