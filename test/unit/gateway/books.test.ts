import assert from "node:assert/strict";
import { test } from "node:test";
import { booksOf } from "../../../gateway/supervisor/gateway-status.ts";

type Consumer = NonNullable<Parameters<typeof booksOf>[0]>;

const counters = {
  read: 20,
  filed: 6,
  duplicates: 5,
  quarantined: 4,
  resent: 3,
  misrouted: 2,
  unaccounted: 0,
};
const balanced = { counters, unaccounted: 0 };

function consumerWith(...partitions: { counters: typeof counters; unaccounted: number }[]): Consumer {
  return { partitions } as unknown as Consumer;
}

test("the books of all partitions are summed, and balance where each partition's do", () => {
  assert.deepEqual(booksOf(consumerWith(balanced, balanced)), {
    read: 40,
    filed: 12,
    duplicates: 10,
    quarantined: 8,
    resent: 6,
    misrouted: 4,
    unaccounted: 0,
    isBalanced: true,
  });
  assert.equal(booksOf(consumerWith())?.isBalanced, true);
  assert.equal(booksOf(null), null);
});

test("books that miss a message do not balance, nor do two that miss what the other has too much of", () => {
  const isBalanced = (...changes: Partial<typeof counters>[]) =>
    booksOf(consumerWith(...changes.map((change) => ({ ...balanced, counters: { ...counters, ...change } }))))
      ?.isBalanced;
  for (const name of ["read", "filed", "duplicates", "quarantined", "resent", "misrouted"] as const) {
    assert.equal(isBalanced({}, { [name]: counters[name] + 7 }), false, name);
    assert.equal(isBalanced({ [name]: counters[name] + 1 }, { [name]: counters[name] - 1 }), false, name);
  }
});

test("books with acknowledged messages that were never read do not balance", () => {
  const books = booksOf(consumerWith(balanced, { ...balanced, unaccounted: 3 }));
  assert.deepEqual([books?.unaccounted, books?.isBalanced], [3, false]);
});
