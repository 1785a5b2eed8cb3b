import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { landedValues } from "../../../../../bridge/lake/landing/landed-values.ts";
import { valuesText } from "../../../../../bridge/lake/landing/values-text.ts";
import type { ColumnType } from "../../../../../bridge/topics/topic-catalog.ts";
import { column } from "../../../../support/test-lake.ts";

const typed = (...types: ColumnType[]) => types.map((type, number) => column(`c${number}`, type));
const whole = fc
  .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value));
const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const text = fc.string({ unit: "binary" });

test("values come back as they were written, whatever the others are", () => {
  const columns = typed("string", "long", "double", "timestamp", "boolean", "string", "long");
  const value = fc.tuple(text, whole, number, whole, fc.boolean(), text, whole);
  const values = value.chain((all) => fc.tuple(...all.map((each) => fc.option(fc.constant(each)))));
  fc.assert(
    fc.property(values, (each) => assert.deepEqual(landedValues(valuesText(each), columns), each)),
    { numRuns: 2000 },
  );
});

test("limits are exact: longs, -0, U+0000, quotes and commas in texts", () => {
  const values = [
    ...[-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, -5],
    ...[-0, 5e-324, 1.7976931348623157e308, 12345678901234567000],
    ...['a\u0000b,"]\\', "\ud83d\ude80[,"],
  ];
  const types = Array.from(values, (_, at): ColumnType => (at < 4 ? "long" : at < 8 ? "double" : "string"));
  assert.deepEqual(landedValues(valuesText(values), typed(...types)), values);
});

test("no text is a null for each column, and a whole number has no -0", () => {
  assert.deepEqual(landedValues(null, typed("long", "string")), [null, null]);
  assert.deepEqual(landedValues(valuesText([-0, 1]), typed("long", "long")), [0, 1]);
});
