import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OutboxMessage } from "../../../devices/outbox/outbox-reader.ts";
import { type SendLimits, SendWindow } from "../../../devices/send-window.ts";

const limits: SendLimits = {
  inFlightMax: 4,
  inFlightMaxBytes: 100,
  maxAheadMessages: 6,
  refusalsMax: 5,
  refusalMaxMs: 1_000,
};

const message = (sequence: number, bytes = 1): OutboxMessage => ({
  sequence,
  id: new Uint8Array(16),
  topic: "t",
  payload: new Uint8Array(bytes),
});

function sendAll(window: SendWindow, nowMs = 0): number[] {
  const sent: number[] = [];
  for (let next = window.next(nowMs); next; next = window.next(nowMs)) sent.push(next.message.sequence);
  return sent;
}

function filled(sequences: readonly number[]): SendWindow {
  const window = new SendWindow(limits);
  window.add(sequences.map((sequence) => message(sequence)));
  return window;
}

test("in flight is bounded by count, by bytes and by the distance to the oldest", () => {
  assert.deepEqual(sendAll(filled([1, 2, 3, 4, 5, 6])), [1, 2, 3, 4]);
  const heavy = new SendWindow(limits);
  heavy.add([message(1, 60), message(2, 40), message(3, 1)]);
  assert.deepEqual(sendAll(heavy), [1, 2]);
  const oversized = new SendWindow(limits);
  oversized.add([message(1, 500), message(2)]);
  assert.deepEqual(sendAll(oversized), [1], "one message may always go, alone");
  assert.deepEqual(sendAll(filled([1, 6, 7])), [1, 6], "7 is 6 above the oldest");
});

test("an acknowledgement out of order settles nothing until the older ones have theirs", () => {
  const window = filled([1, 2, 3]);
  sendAll(window);
  assert.deepEqual(window.acknowledge(2), []);
  assert.deepEqual(window.acknowledge(2), []);
  assert.deepEqual(
    window.acknowledge(1).map(({ sequence }) => sequence),
    [1, 2],
  );
  assert.deepEqual(window.acknowledge(9), []);
  assert.equal(window.inFlight, 1);
});

test("after a connection ended, what was not acknowledged is sent again in order, marked as a resend", () => {
  const window = filled([1, 2, 3, 4, 5]);
  sendAll(window);
  window.acknowledge(3);
  window.connectionEnded({ byPeer: false, nowMs: 0 });
  assert.equal(window.inFlight, 0);
  assert.equal(window.next(0)?.isResend, true);
  assert.deepEqual(sendAll(window), [2, 4, 5]);
});

test("the row of refusals is broken by anything else; only a lone message is given up", () => {
  const refusal = { byPeer: true, nowMs: 10 };
  const window = filled([1, 2, 3]);
  const refuse = () => {
    sendAll(window);
    return window.connectionEnded(refusal);
  };
  for (let close = 1; close <= 4; close += 1) assert.equal(refuse(), null);
  sendAll(window);
  assert.equal(window.connectionEnded({ byPeer: false, nowMs: 10 }), null, "the network, not the broker");
  for (let close = 1; close <= 4; close += 1) assert.equal(refuse(), null);
  sendAll(window);
  assert.equal(window.connectionEnded({ byPeer: true, nowMs: 1_001 }), null, "too late to be a refusal");
  for (let close = 1; close <= 4; close += 1) assert.equal(refuse(), null);
  assert.equal(window.connectionEnded(refusal), null, "nothing was sent");
  for (let close = 1; close <= 4; close += 1) assert.equal(refuse(), null);
  assert.equal(refuse()?.sequence, 1);
  assert.deepEqual(
    window.acknowledge(1).map(({ sequence }) => sequence),
    [1],
  );
  assert.deepEqual(sendAll(window), [2], "its companions are still sent one at a time");
  window.acknowledge(2);
  window.acknowledge(3);
  window.add([4, 5, 6].map((sequence) => message(sequence)));
  assert.deepEqual(sendAll(window), [3, 4, 5, 6].slice(1));
});

test("a message before the refused one is acknowledged, not given up", () => {
  const window = filled([1, 2]);
  for (let close = 1; close <= 2; close += 1) {
    assert.deepEqual(sendAll(window), [1, 2]);
    assert.equal(window.connectionEnded({ byPeer: true, nowMs: 0 }), null);
  }
  assert.deepEqual(sendAll(window), [1]);
  window.acknowledge(1);
  for (let close = 1; close <= 4; close += 1) {
    assert.deepEqual(sendAll(window), [2]);
    assert.equal(window.connectionEnded({ byPeer: true, nowMs: 0 }), null);
  }
  sendAll(window);
  assert.equal(window.connectionEnded({ byPeer: true, nowMs: 0 })?.sequence, 2);
});

test("dropped messages are forgotten, in flight or not", () => {
  const window = filled([1, 2, 3, 4, 5, 6]);
  sendAll(window);
  window.acknowledge(3);
  assert.deepEqual(
    window.dropUpTo(2).map(({ sequence }) => sequence),
    [3],
    "it only waited for those",
  );
  assert.equal(window.inFlight, 1);
  assert.deepEqual(window.acknowledge(1), []);
  assert.deepEqual(sendAll(window), [5, 6]);
  window.dropUpTo(99);
  assert.equal(window.inFlight, 0);
  assert.equal(window.oldestSentAtMs, null);
  assert.equal(window.next(0), null);
});

type Step =
  | { kind: "add"; gaps: number[] }
  | { kind: "send" }
  | { kind: "acknowledge"; pick: number }
  | { kind: "end"; byPeer: boolean; lateMs: number }
  | { kind: "drop"; pick: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("add" as const),
    gaps: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 }),
  }),
  fc.constant({ kind: "send" as const }),
  fc.record({ kind: fc.constant("acknowledge" as const), pick: fc.nat() }),
  fc.record({ kind: fc.constant("end" as const), byPeer: fc.boolean(), lateMs: fc.constantFrom(0, 5_000) }),
  fc.record({ kind: fc.constant("drop" as const), pick: fc.nat({ max: 3 }) }),
);

test("whatever happens: bounds hold, order holds, nothing is settled twice or left out, and all drains in the end", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const window = new SendWindow(limits);
      /** Added and not settled or dropped, in order. */
      let open: number[] = [];
      let inFlight: number[] = [];
      const acknowledged = new Set<number>();
      let last = 0;
      const settle = (sequence: number) => {
        inFlight = inFlight.filter((each) => each !== sequence);
        acknowledged.add(sequence);
        for (const settled of window.acknowledge(sequence)) {
          assert.equal(settled.sequence, open.shift());
          assert.ok(acknowledged.has(settled.sequence));
        }
      };
      const send = () => {
        for (let next = window.next(0); next; next = window.next(0)) {
          const { sequence } = next.message;
          assert.ok(!acknowledged.has(sequence) && !inFlight.includes(sequence));
          assert.ok(sequence > (inFlight.at(-1) ?? 0), "sent out of order");
          assert.equal(
            open.find((each) => !acknowledged.has(each) && !inFlight.includes(each)),
            sequence,
          );
          inFlight.push(sequence);
          const oldest = open.find((each) => !acknowledged.has(each)) ?? 0;
          assert.ok(sequence - oldest < limits.maxAheadMessages);
          assert.ok(inFlight.length <= limits.inFlightMax);
        }
        assert.equal(window.inFlight, inFlight.length);
      };
      for (const next of steps) {
        if (next.kind === "add") {
          const added = next.gaps.map((gap) => {
            last += gap;
            return last;
          });
          open.push(...added);
          window.add(added.map((sequence) => message(sequence)));
        } else if (next.kind === "send") send();
        else if (next.kind === "acknowledge") {
          const sequence = inFlight[next.pick % Math.max(1, inFlight.length)];
          if (sequence !== undefined) settle(sequence);
        } else if (next.kind === "end") {
          const head = inFlight.length === 1 && inFlight[0] === open[0] ? open[0] : null;
          const refused = window.connectionEnded({ byPeer: next.byPeer, nowMs: next.lateMs });
          inFlight = [];
          if (!refused) continue;
          assert.ok(next.byPeer && next.lateMs === 0);
          assert.equal(refused.sequence, head);
          settle(refused.sequence);
        } else {
          const upTo = open[next.pick] ?? 0;
          const settled = window.dropUpTo(upTo).map(({ sequence }) => sequence);
          open = open.filter((sequence) => sequence > upTo);
          inFlight = inFlight.filter((sequence) => sequence > upTo);
          assert.deepEqual(open.splice(0, settled.length), settled);
          assert.ok(open[0] === undefined || !acknowledged.has(open[0]), "left unsettled");
        }
      }
      for (let round = 0; round < 1_000 && open.length > 0; round += 1) {
        send();
        assert.ok(inFlight.length > 0, "stuck");
        for (const sequence of [...inFlight]) settle(sequence);
      }
      assert.deepEqual(open, []);
    }),
    { numRuns: 2_000 },
  );
});
