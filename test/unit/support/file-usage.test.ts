import assert from "node:assert/strict";
import { test } from "node:test";
import { usageTable } from "../../support/file-usage.ts";

test("the table has the files that took most CPU time first, what is not known, and the span and the sum of all", () => {
  const usages = [
    { file: "quick", beganAtMs: 5000, wallMs: 1234, cpuMs: 100 },
    { file: "killed elsewhere", beganAtMs: 1000, wallMs: 60_000, cpuMs: null },
    { file: "slow", beganAtMs: 7000, wallMs: 98_765, cpuMs: 12_340 },
  ];
  assert.deepEqual(usageTable(usages), [
    " wall s   CPU s  test file",
    "   98.8    12.3  slow",
    "    1.2     0.1  quick",
    "   60.0       ?  killed elsewhere",
    "  104.8    12.4  all 3 files",
  ]);
  assert.deepEqual(usageTable([]), []);
});

test("of many files only the costly ones are shown", () => {
  const usages = Array.from({ length: 100 }, (_, index) => ({
    file: `f${index}`,
    beganAtMs: index * 1000,
    wallMs: 500,
    cpuMs: index * 10,
  }));
  const lines = usageTable(usages);
  assert.equal(lines.length, 42);
  assert.match(lines[1] ?? "", / f99$/);
  assert.equal(lines.at(-1), "   99.5    49.5  all 100 files, of which 60 are not shown");
});
