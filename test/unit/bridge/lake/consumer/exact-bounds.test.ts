import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ConsumerHarness, startMs } from "../../../../support/consumer-harness.ts";
import {
  envelopes,
  exactHarness,
  oldDuplicates,
  reasons,
  sdk,
  sequences,
} from "../../../../support/exact-harness.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

const dayMs = 86_400_000;

describe("old ids of the exact mode, if the bounds of event times change", () => {
  const old = startMs - 30 * dayMs;
  const define = (harness: ConsumerHarness, version: number, eventPastMs?: number, more = {}) =>
    harness.define(
      topicVersion({
        ...envelopes,
        ...{ dedupe: "exact", version, ...(eventPastMs && { eventPastMs }) },
        ...more,
      }),
    );
  const send = async (harness: ConsumerHarness, sequence: number, version: number, text = "{}") => {
    harness.append([sdk(sequence, { eventTimeMs: old, topicVersion: version, text })]);
    await harness.drain();
    harness.clock.nowMs += dayMs;
  };

  test("a first copy within wide bounds is found by a resend beyond narrow ones", async () => {
    const harness = exactHarness();
    define(harness, 2, 400 * dayMs);
    await send(harness, 5, 2);
    await send(harness, 5, 1);
    assert.deepEqual([sequences(harness), reasons(harness)], [[5], []]);
    assert.equal(await oldDuplicates(harness), 1);
  });

  test("a first copy beyond narrow bounds may exist: a resend within wide ones is exact-unsure, not id-reused", async () => {
    const harness = exactHarness();
    await send(harness, 5, 1);
    define(harness, 2, 400 * dayMs);
    await send(harness, 5, 2);
    assert.deepEqual([sequences(harness), reasons(harness)], [[5], [[5, "exact-unsure"]]]);
  });

  test("a message that is quarantined by one version and filed by another one is never filed twice", async () => {
    const harness = exactHarness();
    define(harness, 2, 400 * dayMs, { schema: { type: "object", required: ["n"] } });
    await send(harness, 5, 2);
    define(harness, 3);
    await send(harness, 5, 3);
    await send(harness, 5, 3);
    define(harness, 4, 400 * dayMs);
    await send(harness, 5, 4);
    assert.ok(sequences(harness).length <= 1, String(sequences(harness)));
  });
});
