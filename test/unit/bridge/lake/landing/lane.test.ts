import assert from "node:assert/strict";
import { test } from "node:test";
import { hourOf, laneOf } from "../../../../../bridge/lake/landing/lane.ts";

const hourMs = 3_600_000;
const start = 496_100 * hourMs;

function row(eventTimeMs: number, ingestTimeMs: number, eventTimeOutside = false) {
  return { eventTimeMs, ingestTimeMs, eventTimeOutside };
}

test("a row is filed in the hour of its event time, or of its ingest time if its own time is outside", () => {
  assert.equal(hourOf(row(start, start)), 496_100);
  assert.equal(hourOf(row(start + hourMs - 1, start)), 496_100);
  assert.equal(hourOf(row(start + hourMs, start)), 496_101);
  assert.equal(hourOf(row(0, start, true)), 496_100);
  assert.equal(hourOf(row(-1, start)), -1, "an hour before 1970");
});

test("fresh rows of neighbouring hours have different lanes", () => {
  assert.equal(laneOf(row(start, start)), "even");
  assert.equal(laneOf(row(start + hourMs, start + hourMs)), "odd");
  assert.equal(laneOf(row(start + hourMs, start)), "odd", "an event time ahead of the gateway's clock");
  assert.equal(laneOf(row(-1, -1)), "odd");
});

test("a row is late from one minute after the end of its hour on", () => {
  const end = start + hourMs;
  assert.equal(laneOf(row(start, end + 59_999)), "even");
  assert.equal(laneOf(row(start, end + 60_000)), "late");
  assert.equal(laneOf(row(end - 1, end + 60_000)), "late");
  assert.equal(laneOf(row(end, end + 60_000)), "odd");
  assert.equal(laneOf(row(0, end + 60_000, true)), "odd", "outside: it is filed by its ingest time");
});
