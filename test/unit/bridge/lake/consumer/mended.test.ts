import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BlockMessage } from "../../../../../bridge/block/block-format.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { encodeMessageId } from "../../../../../devices/protocol/message-id.ts";
import { encodeEnvelope } from "../../../../../devices/protocol/telemetry-envelope.ts";
import { ConsumerHarness, json, startMs } from "../../../../support/consumer-harness.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

const dayMs = 86_400_000;
const strict = { type: "object", properties: { n: { type: "number" } } };
const exact = {
  format: "envelope",
  idPath: "",
  timePath: "",
  dedupe: "exact",
  dedupeWindowMs: 1000,
} as const;

/** Version 1 refuses the message; version 2 accepts it. */
function harnessWith(first: Parameters<typeof topicVersion>[0], mended: Parameters<typeof topicVersion>[0]) {
  const harness = new ConsumerHarness();
  harness.define(topicVersion({ ...first, version: 1 }));
  harness.define(topicVersion({ ...mended, version: 2 }));
  return harness;
}

function sdk(sequence: number, text = '{"n":"one"}') {
  const messageId = encodeMessageId({ epoch: Buffer.alloc(8, 1), sequence });
  const facts = { messageId, eventTimeMs: startMs, contentType: "", payload: Buffer.from(text), sequence };
  return { payload: Buffer.from(encodeEnvelope(facts)) };
}

const by = (topicVersion: number, message: Partial<BlockMessage>) => ({ ...message, topicVersion });

async function send(harness: ConsumerHarness, ...messages: Partial<BlockMessage>[]): Promise<void> {
  harness.append(messages);
  await harness.drain();
}

/** Tables, or reasons of quarantine, in the order of filing. */
function filed(harness: ConsumerHarness): string[] {
  return harness.rows().map(({ table, reason }) => reason ?? table);
}

function loseWindow(harness: ConsumerHarness): void {
  harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
}

const refused = json("a", { n: "one" });

describe("a quarantined message that is resent after its topic was corrected is filed once", () => {
  const cases: [string, () => ConsumerHarness, Partial<BlockMessage>, string][] = [
    ["a schema", () => harnessWith({ schema: strict }, { schema: null }), refused, "schema-violated"],
    [
      "a time path",
      () => harnessWith({ timePath: "at" }, { timePath: "ts" }),
      json("a"),
      "event-time-unreadable",
    ],
    [
      "an exact topic",
      () => harnessWith({ ...exact, schema: strict }, { ...exact, schema: null }),
      sdk(7),
      "schema-violated",
    ],
  ];
  for (const [what, make, message, reason] of cases) {
    test(`${what}: with the window as it is, and with one seeded from the lake`, async () => {
      for (const isLost of [false, true]) {
        const harness = make();
        await send(harness, by(1, message), by(1, message));
        await send(harness, by(1, message));
        if (isLost) loseWindow(harness);
        await send(harness, by(2, message), by(2, message));
        if (isLost) loseWindow(harness);
        // Rows of the table are duplicates, also for a version that would refuse them.
        await send(harness, by(2, message), by(1, message));
        assert.deepEqual(filed(harness), [reason, "t1"]);
        const { counters } = (await harness.drain()).status().partitions[0] ?? {};
        assert.deepEqual([counters?.read, counters?.duplicates], [7, 5]);
      }
    });

    test(`${what}: refused and accepted in one batch`, async () => {
      const harness = make();
      await send(harness, by(1, message), by(2, message), by(1, message), by(2, message));
      assert.deepEqual(filed(harness).toSorted(), [reason, "t1"].toSorted());
    });
  }

  test("an exact topic, long after its window; also with other content under the id", async () => {
    const harness = harnessWith({ ...exact, schema: strict }, { ...exact, schema: null });
    await send(harness, by(1, sdk(7)), by(1, sdk(8)));
    harness.clock.nowMs += dayMs;
    await send(harness, by(2, sdk(7)), by(2, sdk(7)));
    harness.clock.nowMs += dayMs;
    await send(harness, by(2, sdk(7)), by(1, sdk(8)), by(2, sdk(8, '{"n":"other"}')));
    harness.clock.nowMs += dayMs;
    await send(harness, by(2, sdk(8)), by(2, sdk(8, '{"n":"other"}')));
    assert.deepEqual(filed(harness), ["schema-violated", "schema-violated", "t1", "t1"]);
  });
});

test("an exact topic, long after its window: once other content has the id, the quarantined row stays there, once", async () => {
  const harness = harnessWith({ ...exact, schema: strict }, { ...exact, schema: null });
  await send(harness, by(1, sdk(7)), by(1, sdk(8)));
  harness.clock.nowMs += dayMs;
  const other = (sequence: number) => sdk(sequence, '{"n":"other"}');
  await send(harness, by(2, other(7)), by(2, sdk(7)), by(2, sdk(7)));
  harness.append([by(2, other(8))]);
  harness.append([by(2, sdk(8))]);
  await harness.drain({ config: { maxBatchAgeMs: 10 * dayMs } });
  harness.clock.nowMs += dayMs;
  await send(harness, by(2, sdk(7)), by(2, other(8)), by(2, sdk(8)));
  assert.deepEqual(filed(harness), ["schema-violated", "schema-violated", "t1", "t1"]);
});

test("a reused id is decided before a later message with the same content and a fault", async () => {
  const harness = harnessWith(
    { schema: strict, dedupeWindowMs: 1000 },
    { schema: null, dedupeWindowMs: 1000 },
  );
  await send(harness, by(2, json("a", { n: 1 })));
  harness.append([by(2, refused)]);
  harness.clock.nowMs += dayMs;
  harness.append([by(1, refused)]);
  await harness.drain();
  assert.deepEqual(filed(harness), ["t1", "id-reused", "schema-violated"]);
});

test("other content under the id of a quarantined message is filed; the first content stays in quarantine", async () => {
  const harness = harnessWith({ schema: strict }, { schema: null });
  await send(harness, by(1, refused));
  await send(harness, by(1, json("a", { n: 1 })));
  await send(harness, by(2, refused), by(1, json("a", { n: 2 })));
  assert.deepEqual(filed(harness), ["schema-violated", "t1", "id-reused"]);
});

test("a more specific topic accepts a message that the general one refused", async () => {
  const harness = new ConsumerHarness();
  const general = { topicId: "t1", name: "general", filter: "plant/{device}/#", schema: strict };
  harness.define(topicVersion(general));
  await send(harness, { ...refused, topicName: "plant/d1/a" });
  harness.define(topicVersion({ topicId: "t2", name: "special", filter: "plant/{device}/a" }));
  const resend = { ...refused, topicName: "plant/d1/a", topicId: "t2" };
  await send(harness, resend, resend);
  assert.deepEqual(filed(harness), ["schema-violated", "t2"]);
});
