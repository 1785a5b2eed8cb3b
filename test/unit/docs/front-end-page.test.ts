import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..", "..", "..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** Lines without their indentation: a page shows a method without its class. */
const flat = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => line.trim())
    .join("\n");

test("the code on the page about front ends is that of the front end that the suite runs", () => {
  const page = read("docs/extending/front-end.md");
  const sources = ["test/support/line-front-end.ts", "test/contract/front-end.test.ts"].map(read).map(flat);
  const blocks = [...page.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] ?? "");
  assert(blocks.length >= 8, `${blocks.length} blocks`);
  for (const block of blocks)
    assert(
      sources.some((source) => source.includes(flat(block))),
      `not in the tested sources:\n${block}`,
    );
});
