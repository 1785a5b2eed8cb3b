import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { encodeEnvelope } from "../../../../../devices/protocol/telemetry-envelope.ts";
import { ConsumerHarness, json, startMs } from "../../../../support/consumer-harness.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

interface Sent {
  readonly id?: string;
  readonly text?: string;
  readonly eventTimeMs?: number;
  readonly contentType?: string;
  readonly sequence?: number;
}

function envelope({ id = "a", text = "m", eventTimeMs = startMs, contentType = "", sequence }: Sent = {}) {
  const facts = { messageId: Buffer.from(id), eventTimeMs, contentType, payload: Buffer.from(text) };
  return { payload: Buffer.from(encodeEnvelope(sequence === undefined ? facts : { ...facts, sequence })) };
}

function envelopes(): ConsumerHarness {
  const harness = new ConsumerHarness();
  harness.define(topicVersion({ format: "envelope", idPath: "", timePath: "" }));
  return harness;
}

/**
 * Sends each message of the list alone, each time with the window as it is, then all again with a window
 * seeded from the lake.
 */
async function sendEach(harness: ConsumerHarness, list: Parameters<ConsumerHarness["append"]>[0]) {
  for (const message of list) {
    harness.append([message]);
    harness.clock.nowMs += 1000;
    await harness.drain();
  }
  const filed = reasons(harness);
  harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
  harness.append(list);
  const consumer = await harness.drain();
  assert.deepEqual(reasons(harness), filed, "after a restart each of them is a duplicate");
  return { filed, duplicates: consumer.status().partitions[0]?.counters.duplicates };
}

function reasons(harness: ConsumerHarness): (string | null)[] {
  return harness.rows().map(({ reason }) => reason);
}

describe("the same id is a resend only if it would be filed as the same row", () => {
  test("an envelope with another event time is id-reused", async () => {
    const list = [envelope(), envelope({ eventTimeMs: startMs + 1 }), envelope()];
    assert.deepEqual(await sendEach(envelopes(), list), { filed: [null, "id-reused"], duplicates: 4 });
  });

  test("another topic name is id-reused", async () => {
    const list = ["fleet/d1/telemetry", "fleet/d1/b"].map((topicName) => ({ ...json("a"), topicName }));
    assert.deepEqual(await sendEach(new ConsumerHarness(), list), {
      filed: [null, "id-reused"],
      duplicates: 2,
    });
  });

  test("fields that no file holds do not matter: content type and sequence of an envelope", async () => {
    const list = [envelope(), envelope({ contentType: "text/plain" }), envelope({ sequence: 9 })];
    assert.deepEqual(await sendEach(envelopes(), list), { filed: [null], duplicates: 5 });
  });

  test("an unreadable event time is filed as the ingest time, which differs for a resend", async () => {
    const far = { eventTimeMs: -63_000_000_000_000 };
    const list = [envelope(far), envelope(far), envelope({ ...far, text: "other" })];
    assert.deepEqual(await sendEach(envelopes(), list), {
      filed: ["event-time-unreadable", "event-time-unreadable"],
      duplicates: 4,
    });
    const none = [json("a", { ts: "soon" }), json("a", { ts: "soon" }), json("a", { ts: "later" })];
    assert.deepEqual(await sendEach(new ConsumerHarness(), none), {
      filed: ["event-time-unreadable", "event-time-unreadable"],
      duplicates: 4,
    });
  });

  test("a payload that breaks its schema is filed with its event time", async () => {
    const harness = new ConsumerHarness();
    const schema = { type: "object", required: ["n"] };
    harness.define(topicVersion({ format: "envelope", idPath: "", timePath: "", schema }));
    const list = ["{", "{}"].flatMap((text) =>
      [0, 1].map((by) => envelope({ id: text, text, eventTimeMs: startMs + by })),
    );
    assert.deepEqual(await sendEach(harness, list), {
      filed: ["payload-undecodable", "payload-undecodable", "schema-violated", "schema-violated"],
      duplicates: 4,
    });
  });
});
