import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  compareRedisPositions,
  entryOfPosition,
  positionOfEntry,
} from "../../../../../bridge/streams/redis/redis-position.ts";

const entry = fc.record({ ms: fc.nat({ max: 2 ** 45 }), number: fc.nat({ max: 2 ** 40 }) });

test("a position names its entry, and positions compare as Redis orders its ids", () => {
  fc.assert(
    fc.property(entry, entry, (left, right) => {
      assert.deepEqual(entryOfPosition(positionOfEntry(left)), { ...left });
      const expected = Math.sign(left.ms - right.ms || left.number - right.number);
      assert.equal(Math.sign(compareRedisPositions(positionOfEntry(left), positionOfEntry(right))), expected);
    }),
  );
  assert.ok(compareRedisPositions("999-1", "1000-0") < 0);
  assert.ok(compareRedisPositions("1000-9", "1000-10") < 0);
});

test("the start is the lowest position, and other text is no position", () => {
  assert.equal(positionOfEntry({ ms: 0, number: 0 }), "");
  assert.ok(compareRedisPositions("", "1-1") < 0);
  for (const text of ["00000000000000000012", "1", "1-", "-1", "1-1-1", "a-1", "1-99999999999999999"])
    assert.equal(entryOfPosition(text), null, text);
});
