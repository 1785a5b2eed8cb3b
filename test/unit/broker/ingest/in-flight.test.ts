import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { InFlight } from "../../../../broker/ingest/in-flight.ts";

interface Message {
  readonly messageId: number;
  readonly bytes: number;
  readonly acceptedAtMs: number;
  isSettled: boolean;
}

test("whatever the order of settling, messages leave in the order of arrival, and bytes add up", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 99 }), { maxLength: 3_000 }), (order) => {
      const inFlight = new InFlight<Message>();
      const messages = order.map((_, index): Message => {
        const message = {
          messageId: index,
          bytes: index,
          acceptedAtMs: index,
          isSettled: false,
        };
        inFlight.add(message);
        return message;
      });
      const left: number[] = [];
      const settling = messages.toSorted((a, b) => (order[a.messageId] ?? 0) - (order[b.messageId] ?? 0));
      for (const message of settling) {
        message.isSettled = true;
        for (let due = inFlight.takeSettled(); due; due = inFlight.takeSettled()) left.push(due.messageId);
        const waiting = messages.slice(left.length);
        assert.equal(inFlight.count, waiting.length);
        assert.equal(
          inFlight.bytes,
          waiting.reduce((sum, { bytes }) => sum + bytes, 0),
        );
        assert.equal(inFlight.oldestAtMs, waiting[0]?.acceptedAtMs ?? null);
      }
      assert.deepEqual(left, [...messages.keys()]);
    }),
    { numRuns: 30 },
  );
});
