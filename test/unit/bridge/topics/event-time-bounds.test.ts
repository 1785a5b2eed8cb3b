import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  eventTimeBoundLimits,
  eventTimeBoundsOf,
  isOutside,
} from "../../../../bridge/topics/event-time-bounds.ts";
import { FullJudge } from "../../../support/full-judge.ts";
import { topicVersion } from "../../../support/topic-version.ts";

const ingestMs = Date.UTC(2026, 10, 22);
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** µs after the ingest time, negative before it. */
function isBeyond(offsetUs: number, bounds = eventTimeBoundsOf({})): boolean {
  const ms = Math.floor(offsetUs / 1000);
  return isOutside(ingestMs + ms, offsetUs - ms * 1000, ingestMs, bounds);
}

describe("bounds of event times", () => {
  test("a version without them has 7 days and 1 hour, each by itself", () => {
    assert.deepEqual(eventTimeBoundsOf({}), { pastMs: 7 * dayMs, aheadMs: hourMs });
    assert.deepEqual(eventTimeBoundsOf({ eventPastMs: minuteMs }), { pastMs: minuteMs, aheadMs: hourMs });
    assert.deepEqual(eventTimeBoundsOf({ eventAheadMs: dayMs }), { pastMs: 7 * dayMs, aheadMs: dayMs });
  });

  for (const bounds of [
    eventTimeBoundsOf({}),
    { pastMs: minuteMs, aheadMs: minuteMs },
    { pastMs: 400 * dayMs, aheadMs: 3650 * dayMs },
  ])
    test(`exactly at ${bounds.pastMs} ms back and ${bounds.aheadMs} ms ahead is within, a microsecond beyond is not`, () => {
      const [past, ahead] = [-bounds.pastMs * 1000, bounds.aheadMs * 1000];
      assert.deepEqual(
        [past - 1, past, past + 1, 0, ahead - 1, ahead, ahead + 1].map((us) => isBeyond(us, bounds)),
        [true, false, false, false, false, false, true],
      );
    });

  test("the judge takes those of the version that judges the message, and its row is the same message by each", () => {
    const judge = new FullJudge();
    const place = {
      ...{ streamId: "s", partition: 1, position: "p" },
      ...{ ingestTimeMs: ingestMs, streamTimeMs: 5, rowTimeMs: 7 },
    };
    const bound = fc.integer({ min: eventTimeBoundLimits.minMs, max: eventTimeBoundLimits.maxMs });
    const offsetMs = fc.oneof(
      fc.constant(0),
      fc.integer({ min: -eventTimeBoundLimits.maxMs, max: eventTimeBoundLimits.maxMs }),
    );
    fc.assert(
      fc.property(bound, bound, offsetMs, (eventPastMs, eventAheadMs, offset) => {
        const payload = Buffer.from(JSON.stringify({ id: "a", ts: ingestMs + offset }));
        const message = {
          ...{ topicId: "t1", topicVersion: 1, topicName: "fleet/d/telemetry", deviceId: "d" },
          ...{ qos: 1 as const, payload },
        };
        const own = judge.judge(message, 0, topicVersion({ eventPastMs, eventAheadMs }), place);
        const standard = judge.judge(message, 0, topicVersion(), place);
        assert.equal(own.row.eventTimeOutside, offset < -eventPastMs || offset > eventAheadMs);
        assert.equal(own.contentHash, standard.contentHash);
        assert.deepEqual(
          { ...own.row, eventTimeOutside: false },
          { ...standard.row, eventTimeOutside: false },
        );
      }),
    );
  });
});
