import assert from "node:assert/strict";
import { test } from "node:test";
import { textTable } from "../../../../gateway/cli/text-table.ts";

test("one long cell costs its own line, and no number of rows is too large", () => {
  const rows = Array.from({ length: 200_000 }, (_, index) => [index === 0 ? "x".repeat(60_000) : "y", index]);
  const text = textTable(["name", "n"], rows);
  assert.equal(text.split("\n").length, rows.length + 2);
  assert(text.includes("x".repeat(60_000)));
  assert(text.split("\n").every((line, index) => index === 2 || line.length < 300));
});
