import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStatistics } from "../../../simulator/audit/file-statistics.ts";

test("long digits of bounds stay exact as whole numbers, and are read as a double after a decimal point", () => {
  const text =
    '{"numRecords":1,"minValues":{"real":0.30000000000000004,"whole":-9223372036854775808},' +
    '"maxValues":{"real":-0.1234567890123456,"small":5e-324,"text":"1234567890123456789,"}}';
  const statistics = parseStatistics(text);
  assert.deepEqual(statistics?.min, { real: 0.30000000000000004, whole: "-9223372036854775808" });
  assert.deepEqual(statistics?.max, {
    real: -0.1234567890123456,
    small: 5e-324,
    text: "1234567890123456789,",
  });
});
