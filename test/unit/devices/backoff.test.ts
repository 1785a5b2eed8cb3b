import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fullJitterDelayMs } from "../../../devices/protocol/backoff.ts";

const limits = { baseMs: 100, maxMs: 30_000 };
const almostOne = 1 - Number.EPSILON;

test("the ceiling doubles from the base up to the maximum and stays there", () => {
  const ceilings = [0, 1, 2, 8, 9, 40, 5000].map((attempt) =>
    fullJitterDelayMs(attempt, limits, () => almostOne),
  );
  assert.deepEqual(ceilings, [100, 200, 400, 25_600, 30_000, 30_000, 30_000]);
});

test("a delay is a whole number from 0 to the ceiling, whatever the attempt", () => {
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: almostOne, noNaN: true }), (attempt, chance) => {
      const delayMs = fullJitterDelayMs(attempt, limits, () => chance);
      assert.ok(Number.isInteger(delayMs) && delayMs >= 0 && delayMs <= limits.maxMs);
    }),
  );
  assert.equal(
    fullJitterDelayMs(7, limits, () => 0),
    0,
  );
});
