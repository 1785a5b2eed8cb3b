import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { instantOf, microsecondsOf, readInstant } from "../../../../bridge/decoders/instant.ts";

const noon = Date.UTC(2026, 10, 28, 12);
const at = (ms: number, micros = 0) => ({ ms, micros });

describe("each spelling that RFC 3339 permits", () => {
  const spellings: readonly (readonly [text: string, ms: number, micros?: number])[] = [
    ["2026-11-28T12:00:00Z", noon],
    ["2026-11-28t12:00:00z", noon],
    ["2026-11-28 12:00:00Z", noon],
    ["2026-11-28T12:00:00+00:00", noon],
    ["2026-11-28T12:00:00-00:00", noon],
    ["2026-11-28T13:30:00+01:30", noon],
    ["2026-11-27T12:01:00-23:59", noon],
    ["2026-11-29T11:59:00+23:59", noon],
    ["2026-11-28T12:00:00.5Z", noon + 500],
    ["2026-11-28T12:00:00.123Z", noon + 123],
    ["2026-11-28T12:00:00.123456Z", noon + 123, 456],
    ["2026-11-28T12:00:00.000001Z", noon, 1],
    ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
    ["2000-02-29T00:00:00Z", Date.UTC(2000, 1, 29)],
    ["1969-12-31T23:59:59.9999Z", -1, 900],
    ["0001-01-01T00:00:00Z", -62_135_596_800_000],
    ["9999-12-31T23:59:59.999999Z", 253_402_300_799_999, 999],
    // RFC 3339 §5.8.
    ["1985-04-12T23:20:50.52Z", 482_196_050_520],
    ["1996-12-19T16:39:57-08:00", 851_042_397_000],
    ["1937-01-01T12:00:27.87+00:20", -1_041_337_172_130],
  ];
  for (const [text, ms, micros = 0] of spellings)
    test(text, () => assert.deepEqual(readInstant(text), at(ms, micros)));
});

test("a time of a year below 100 is of that year", () => {
  assert.equal(new Date(readInstant("0099-03-01T00:00:00Z")?.ms ?? 0).getUTCFullYear(), 99);
});

test("digits after the microseconds are cut, however many there are", () => {
  assert.deepEqual(readInstant("2026-11-28T12:00:00.1234569Z"), at(noon + 123, 456));
  assert.deepEqual(readInstant("2026-11-28T12:00:00.999999999999Z"), at(noon + 999, 999));
  assert.deepEqual(readInstant(`2026-11-28T12:00:00.${"9".repeat(100_000)}Z`), at(noon + 999, 999));
});

test("a leap second is the first second of the next day", () => {
  const newYear = Date.UTC(1991, 0, 1);
  assert.deepEqual(readInstant("1990-12-31T23:59:60Z"), at(newYear));
  assert.deepEqual(readInstant("1990-12-31T15:59:60-08:00"), at(newYear));
  assert.deepEqual(readInstant("1990-12-31T23:59:60.25Z"), at(newYear + 250));
  assert.deepEqual(readInstant("2015-06-30T23:59:60Z"), at(Date.UTC(2015, 6, 1)));
  for (const text of ["2026-11-28T12:00:60Z", "2026-11-28T23:59:60Z", "1990-12-31T23:59:60+01:00"])
    assert.equal(readInstant(text), null, text);
});

test("seconds may be missing, as in ISO 8601", () => {
  assert.deepEqual(readInstant("2026-11-28T12:00Z"), at(noon));
});

test("days and hours that no calendar, clock or reader of the tables has are no times", () => {
  const none = [
    "2026-02-30T12:00:00Z",
    "2026-02-29T12:00:00Z",
    "1900-02-29T12:00:00Z",
    "2026-04-31T12:00:00Z",
    "2026-00-10T12:00:00Z",
    "2026-13-10T12:00:00Z",
    "2026-11-00T12:00:00Z",
    "2026-11-32T12:00:00Z",
    "2026-11-28T24:00:00Z",
    "2026-11-28T12:60:00Z",
    "2026-11-28T12:00:61Z",
    "2026-11-28T12:00:00+24:00",
    "2026-11-28T12:00:00+01:60",
    "0000-12-31T23:59:59Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "9999-12-31T23:59:60Z",
    "10000-01-01T00:00:00Z",
    "-001-01-01T00:00:00Z",
  ];
  for (const text of none) assert.equal(readInstant(text), null, text);
});

test("texts other than RFC 3339 are no times", () => {
  const none = [
    "",
    "2026-11-28",
    "2026-11-28T12:00:00",
    "2026-11-28T12:00:00,5Z",
    "2026-11-28T12:00:00.Z",
    "2026-11-28T12:00:00+0100",
    "2026-11-28T12:00:00+01",
    "2026-11-28T12:00:00 Z",
    "2026-11-28_12:00:00Z",
    "20261128T120000Z",
    "2026-1-28T12:00:00Z",
    "2026-W48-6T12:00:00Z",
    " 2026-11-28T12:00:00Z",
    "2026-11-28T12:00:00Z\n",
    "２026-11-28T12:00:00Z",
  ];
  for (const text of none) assert.equal(readInstant(text), null, JSON.stringify(text));
});

const micros = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n });

/** The moment as ISO 8601 text, by Date alone. */
function isoText(us: bigint): string {
  const ofMs = ((us % 1000n) + 1000n) % 1000n;
  const iso = new Date(Number((us - ofMs) / 1000n)).toISOString();
  return iso.replace("Z", `${String(ofMs).padStart(3, "0")}Z`);
}

test("property: each microsecond of the years 1 to 9999 is read as itself", () => {
  fc.assert(
    fc.property(micros, (us) => {
      const instant = readInstant(isoText(us));
      assert.ok(instant);
      assert.equal(BigInt(microsecondsOf(instant)), us);
      assert.deepEqual(instantOf(us), instant);
      assert.ok(instant.micros >= 0 && instant.micros < 1000 && Number.isSafeInteger(instant.ms));
    }),
  );
});

test("property: a day is read exactly if the calendar has it", () => {
  const part = (max: number) => fc.integer({ min: 0, max });
  fc.assert(
    fc.property(part(9999), part(13), part(32), (year, month, day) => {
      const text = `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
      const date = new Date(`${text}T00:00:00Z`);
      const exists = !Number.isNaN(date.getTime()) && date.getUTCDate() === day && year > 0;
      assert.equal(readInstant(`${text}T00:00:00Z`)?.ms ?? null, exists ? date.getTime() : null, text);
    }),
    { numRuns: 2000 },
  );
});

test("moments outside the years 1 to 9999 are none", () => {
  assert.equal(instantOf(-62_135_596_800_000_001n), null);
  assert.equal(instantOf(253_402_300_800_000_000n), null);
  assert.equal(instantOf(10n ** 30n), null);
});
