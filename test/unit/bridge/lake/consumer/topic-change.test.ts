import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BlockMessage } from "../../../../../bridge/block/block-format.ts";
import type { DedupWindow } from "../../../../../bridge/lake/window/dedup-window.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { rowLeadMaxMs } from "../../../../../bridge/tail/stream-time.ts";
import type { TopicVersion } from "../../../../../bridge/topics/topic-catalog.ts";
import { encodeEnvelope } from "../../../../../devices/protocol/telemetry-envelope.ts";
import { ConsumerHarness, json, startMs } from "../../../../support/consumer-harness.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

const hourMs = 3_600_000;
const general = topicVersion({ topicId: "general", name: "telemetry", filter: "plant/{device}/#" });
const special = topicVersion({ topicId: "special", name: "engine", filter: "plant/{device}/engine" });
const engine = "plant/d1/engine";

function sentBy(topic: TopicVersion, message: Partial<BlockMessage>, topicName = engine) {
  return { ...message, topicId: topic.topicId, topicVersion: topic.version, topicName };
}

function harnessWith(...topics: TopicVersion[]): ConsumerHarness {
  const harness = new ConsumerHarness();
  for (const topic of topics) harness.define(topic);
  return harness;
}

function windowOf(window: DedupWindow): DedupWindow {
  return {
    applied: (...asked) => window.applied(...asked),
    lookup: (...asked) => window.lookup(...asked),
    apply: (...step) => window.apply(...step),
    beginSeed: (...begun) => window.beginSeed(...begun),
    seed: (...chunk) => window.seed(...chunk),
    endSeed: (...end) => window.endSeed(...end),
    forget: (partition) => window.forget(partition),
    status: () => window.status(),
    close: () => window.close(),
  };
}

function forgetWindow(harness: ConsumerHarness): void {
  harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
}

/** [table, reason] of all rows. */
function filed(harness: ConsumerHarness): unknown[] {
  return harness.rows().map(({ table, reason }) => (reason === null ? table : [table, reason]));
}

/**
 * Sends under `before`, lets topics change, and sends the same under `after`: in one batch, or in two with or
 * without a restart between.
 */
async function resent(
  topics: readonly TopicVersion[],
  change: readonly TopicVersion[],
  [before, after]: readonly [Partial<BlockMessage>, Partial<BlockMessage>],
): Promise<unknown[]> {
  const outcomes: unknown[] = [];
  for (const way of ["one batch", "two batches", "restart"]) {
    const harness = harnessWith(...topics);
    harness.append([before]);
    if (way !== "one batch") await harness.drain();
    for (const topic of change) harness.define(topic);
    if (way === "restart") forgetWindow(harness);
    harness.clock.nowMs += 1000;
    harness.append([after]);
    await harness.drain();
    outcomes.push(filed(harness));
  }
  const [first] = outcomes;
  assert.deepEqual(outcomes, [first, first, first]);
  return first as unknown[];
}

describe("a resend that another topic judges", () => {
  test("a more specific topic was created", async () => {
    const pair = [sentBy(general, json("a")), sentBy(special, json("a"))] as const;
    assert.deepEqual(await resent([general], [special], pair), ["general"]);
  });

  test("the more specific topic was deleted", async () => {
    const pair = [sentBy(special, json("a")), sentBy(general, json("a"))] as const;
    const gone = { ...special, version: 2, deleted: true };
    assert.deepEqual(await resent([general, special], [gone], pair), ["special"]);
  });

  test("a new version moved the topic's filter away, or onto the name", async () => {
    const moved = { ...special, version: 2, filter: "plant/{device}/motor" };
    const away = [sentBy(special, json("a")), sentBy(general, json("a"))] as const;
    assert.deepEqual(await resent([general, special], [moved], away), ["special"]);
    const motor = "plant/d1/motor";
    const onto = [sentBy(general, json("a"), motor), sentBy(moved, json("a"), motor)] as const;
    assert.deepEqual(await resent([general, special], [moved], onto), ["general"]);
  });

  test("the name was created again: its table continues, and so do its ids", async () => {
    const gone = { ...special, version: 2, deleted: true };
    const again = { ...special, version: 3 };
    const pair = [sentBy(special, json("a")), sentBy(again, json("a"))] as const;
    assert.deepEqual(await resent([special], [gone, again], pair), ["special"]);
    const between = [sentBy(general, json("a")), sentBy(again, json("a"))] as const;
    assert.deepEqual(await resent([general, special, gone], [again], between), ["general"]);
  });

  test("a version reads the id at another path", async () => {
    const other = { ...special, version: 2, idPath: "key", timePath: "at" };
    const message = json("a", { key: "b", at: startMs + 5 });
    const pair = [sentBy(special, message), sentBy(other, message)] as const;
    assert.deepEqual(await resent([special], [other], pair), ["special"]);
  });

  test("the topics have other formats: each reads the message in its own way", async () => {
    const envelopes = { ...special, format: "envelope", idPath: "", timePath: "" } as const;
    const inner = { messageId: Buffer.from("a"), eventTimeMs: startMs, contentType: "" };
    const message = { payload: Buffer.from(encodeEnvelope({ ...inner, payload: Buffer.from("m") })) };
    const back = [sentBy(envelopes, message), sentBy(general, message)] as const;
    const gone = { ...envelopes, version: 2, deleted: true };
    assert.deepEqual(await resent([general, envelopes], [gone], back), ["special"]);
    const raw = { ...special, format: "raw", idPath: "", timePath: "" } as const;
    const pair = [sentBy(general, json("a")), sentBy(raw, json("a"))] as const;
    assert.deepEqual(await resent([general], [raw], pair), ["general"]);
  });

  test("a message quarantined under one topic is a duplicate under the other", async () => {
    const late = json("a", { ts: "soon" });
    const pair = [sentBy(general, late), sentBy(special, late)] as const;
    assert.deepEqual(await resent([general], [special], pair), [["_quarantine", "event-time-unreadable"]]);
    const harness = harnessWith(general);
    harness.append([sentBy(general, json("a")), sentBy(general, json("a", { n: 2 }))]);
    await harness.drain();
    harness.define(special);
    harness.append([sentBy(special, json("a", { n: 2 }))]);
    await harness.drain();
    assert.deepEqual(filed(harness), ["general", ["_quarantine", "id-reused"]]);
  });
});

test("a resend in the same block as the message that reused its id", async () => {
  const harness = harnessWith(general, special);
  const other = json("a", { n: 2 });
  harness.append([sentBy(general, json("a")), sentBy(general, other), sentBy(special, other)]);
  await harness.drain();
  assert.deepEqual(filed(harness), ["general", ["_quarantine", "id-reused"]]);
});

test("the same if the id was reused under the topic that has the name, long after topics changed", async () => {
  const gone = { ...special, version: 2, deleted: true };
  const harness = harnessWith(general, special, gone);
  harness.append([sentBy(general, json("z"))]);
  harness.clock.nowMs += 5 * hourMs;
  const other = json("a", { n: 2 });
  harness.append([sentBy(general, json("a")), sentBy(general, other), sentBy(special, other)]);
  await harness.drain();
  assert.deepEqual(filed(harness), ["general", "general", ["_quarantine", "id-reused"]]);
});

describe("another message under the other topic is filed", () => {
  test("with other content, under another name, from another device", async () => {
    const harness = harnessWith(general);
    harness.append([
      sentBy(general, json("a")),
      sentBy(general, json("b"), "plant/d1/other"),
      { ...sentBy(general, json("c")), deviceId: "d2" },
    ]);
    await harness.drain();
    harness.define(special);
    harness.append([
      sentBy(special, json("a", { n: 2 })),
      sentBy(special, json("b")),
      sentBy(special, json("c")),
    ]);
    await harness.drain();
    assert.deepEqual(filed(harness), ["general", "general", "general", "special", "special", "special"]);
  });

  test("after the window of the topic that filed it", async () => {
    const harness = harnessWith({ ...general, dedupeWindowMs: 60_000 });
    harness.append([sentBy(general, json("a"))]);
    await harness.drain();
    harness.define(special);
    harness.clock.nowMs += 61_000;
    harness.append([sentBy(special, json("a"))]);
    await harness.drain();
    assert.deepEqual(filed(harness), ["general", "special"]);
  });

  test("topics whose filters never met do not affect each other", async () => {
    const harness = harnessWith(general, { ...special, filter: "mill/{device}/engine" });
    harness.append([sentBy(general, json("a")), sentBy(special, json("a"), "mill/d1/engine")]);
    await harness.drain();
    assert.deepEqual(filed(harness), ["general", "special"]);
  });
});

describe("how long both topics count", () => {
  test("one window of stream time after a start or a change, and no longer", async () => {
    const harness = harnessWith(general, special);
    const asked: number[] = [];
    const { window } = harness;
    const lookup: typeof window.lookup = (partition, applied, keys, ...more) => {
      asked.push(keys.length / 12);
      return window.lookup(partition, applied, keys, ...more);
    };
    const append = (id: string) => harness.append([sentBy(special, json(id))]);
    append("a");
    harness.clock.nowMs += hourMs - 1;
    append("b");
    harness.clock.nowMs += 2000 + rowLeadMaxMs;
    append("c");
    const config = { readMaxEntries: 1, maxBatchAgeMs: 10 * hourMs };
    await harness.drain({ config, window: { ...windowOf(window), lookup } });
    const [first = 0, second, third] = asked;
    assert.ok(first > 1, "it has just started");
    assert.deepEqual([second, third], [first, 1]);
  });

  test("a gateway that judges by the old topics is late by hours: its copies are duplicates", async () => {
    const harness = harnessWith(general, special);
    const consumer = harness.consumer();
    const run = consumer.run();
    harness.append([sentBy(special, json("a"))]);
    harness.clock.nowMs += 5 * hourMs;
    harness.append([sentBy(special, json("b"))]);
    harness.append([sentBy(general, json("b"))]);
    harness.clock.nowMs += hourMs / 2;
    harness.append([sentBy(general, json("c"))]);
    harness.clock.nowMs += hourMs / 2;
    harness.append([sentBy(special, json("c"))]);
    await consumer.stop({ drain: true });
    await run;
    assert.deepEqual(filed(harness), ["special", "special", "general"]);
  });
});
