import assert from "node:assert/strict";
import { test } from "node:test";
import { booksOf } from "../../../../gateway/status/gateway-status.ts";

type Status = Parameters<typeof booksOf>[0];

const counters = {
  read: 20,
  filed: 6,
  duplicates: 5,
  quarantined: 4,
  resent: 3,
  misrouted: 2,
  unaccounted: 0,
};
const none = { read: 0, filed: 0, duplicates: 0, quarantined: 0, resent: 0, misrouted: 0, unaccounted: 0 };
const balanced = { counters, unaccounted: 0 };
const idle = { acknowledged: 0, repeated: 0, producer: { totals: { appendedMessages: 0 } } };

function statusWith(...partitions: { counters: typeof counters; unaccounted: number }[]): Status {
  const consumer = { partitions, finished: [], past: { partitions: 0, counters: none } };
  return { processes: [], broker: null, consumer } as unknown as Status;
}

test("the books of all partitions are summed, and balance if those of each partition do", () => {
  assert.deepEqual(booksOf(statusWith(balanced, balanced)), {
    read: 40,
    filed: 12,
    duplicates: 10,
    quarantined: 8,
    resent: 6,
    misrouted: 4,
    unaccounted: 0,
    unfounded: 0,
    isBalanced: true,
  });
  assert.equal(booksOf(statusWith())?.isBalanced, true);
  assert.equal(booksOf({ ...statusWith(), consumer: null }), null);
});

test("books that lack a message do not balance, nor do two books whose differences cancel out", () => {
  const isBalanced = (...changes: Partial<typeof counters>[]) =>
    booksOf(statusWith(...changes.map((change) => ({ ...balanced, counters: { ...counters, ...change } }))))
      ?.isBalanced;
  for (const name of ["read", "filed", "duplicates", "quarantined", "resent", "misrouted"] as const) {
    assert.equal(isBalanced({}, { [name]: counters[name] + 7 }), false, name);
    assert.equal(isBalanced({ [name]: counters[name] + 1 }, { [name]: counters[name] - 1 }), false, name);
  }
});

test("books with acknowledged messages that were never read do not balance", () => {
  const books = booksOf(statusWith(balanced, { ...balanced, unaccounted: 3 }));
  assert.deepEqual([books?.unaccounted, books?.isBalanced], [3, false]);
});

test("books with an acknowledgement without an append do not balance", () => {
  const books = (acknowledged: number, repeated: number, appendedMessages: number) => {
    const broker = { acknowledged, repeated, producer: { totals: { appendedMessages } } };
    return booksOf({ ...statusWith(balanced), broker } as unknown as Status);
  };
  assert.deepEqual([books(3, 0, 2)?.unfounded, books(3, 0, 2)?.isBalanced], [1, false]);
  assert.deepEqual([books(3, 1, 2)?.unfounded, books(3, 1, 2)?.isBalanced], [0, true]);
  assert.equal(books(3, 0, 5)?.isBalanced, true, "QoS 0 and wills are appended and not acknowledged");
});

test("books of a stream with a known loss do not balance, whatever was read", () => {
  const whole = statusWith(balanced);
  const { consumer } = whole;
  const held = { code: "STREAM_GAP", message: "" };
  const losses: Record<string, unknown>[] = [
    { broker: { ...idle, redis: { held } } },
    { consumer: { ...consumer, redis: { held } } },
    { broker: { ...idle, kinesis: { held } } },
    { consumer: { ...consumer, kinesis: { held } } },
    { consumer: { ...consumer, partitions: [{ ...balanced, halt: { code: "STREAM_GAP" } }] } },
    { processes: [{ role: "broker", refusal: { code: "STREAM_GAP" } }] },
  ];
  for (const loss of losses)
    assert.equal(booksOf({ ...whole, ...loss } as Status)?.isBalanced, false, JSON.stringify(loss));
  const passing = { broker: { ...idle, redis: { held: { ...held, code: "REDIS_UNAVAILABLE" } } } };
  assert.equal(booksOf({ ...whole, ...passing } as unknown as Status)?.isBalanced, true);
});

test("partitions that were read to their end stay in the books, with their losses", () => {
  const books = (finished: typeof counters, past = none) =>
    booksOf({
      processes: [],
      broker: null,
      consumer: {
        partitions: [balanced],
        finished: [{ counters: finished }],
        past: { partitions: 3, counters: past },
      },
    } as unknown as Status);
  for (const [finished, past] of [
    [counters, none],
    [none, counters],
  ] as const) {
    const less = (changes: object) =>
      finished === counters ? books({ ...counters, ...changes }) : books(none, { ...counters, ...changes });
    assert.deepEqual([books(finished, past)?.read, books(finished, past)?.isBalanced], [40, true]);
    assert.deepEqual(
      [less({ unaccounted: 2 })?.unaccounted, less({ unaccounted: 2 })?.isBalanced],
      [2, false],
    );
    assert.equal(less({ read: 21 })?.isBalanced, false);
  }
});
