import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { contentHash, type HashedContent } from "../../../../bridge/tail/content-hash.ts";

const time = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });
const content = fc.record({
  topicName: fc.string({ minLength: 1 }),
  eventTimeMs: time,
  eventTimeMicros: fc.nat(999),
  eventTimeOutside: fc.boolean(),
  ingestTimeMs: time,
  payloadCrc: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
});

test("another topic name, event time or payload is another content; the ingest time is none of it", () => {
  fc.assert(
    fc.property(content, fc.integer({ min: 1, max: 2 ** 31 }), (row, by) => {
      // The next test covers rows that look as if the event time was unreadable.
      fc.pre(!row.eventTimeOutside || Math.abs(row.eventTimeMs - row.ingestTimeMs) > by);
      const hash = contentHash(row);
      assert.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32);
      const others: Partial<HashedContent>[] = [
        { topicName: `${row.topicName}x` },
        { eventTimeMs: row.eventTimeMs + by },
        { eventTimeMicros: (row.eventTimeMicros + 1 + (by % 999)) % 1000 },
        { payloadCrc: (row.payloadCrc + by) | 0 },
      ];
      for (const other of others) assert.notEqual(contentHash({ ...row, ...other }), hash);
      assert.equal(contentHash({ ...row, ingestTimeMs: row.ingestTimeMs + by }), hash);
    }),
  );
});

test("an event time that could not be read stands for any ingest time, and for no time that was read", () => {
  fc.assert(
    fc.property(content, time, (row, later) => {
      const unread = (ms: number) =>
        contentHash({
          ...row,
          eventTimeMs: ms,
          eventTimeMicros: 0,
          ingestTimeMs: ms,
          eventTimeOutside: true,
        });
      assert.equal(unread(row.ingestTimeMs), unread(later));
      assert.notEqual(contentHash({ ...row, eventTimeOutside: false }), unread(later));
    }),
  );
});
