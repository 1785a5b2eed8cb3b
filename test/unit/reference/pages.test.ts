import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { referenceFolder, referencePages } from "../../support/reference/pages.ts";
import { root } from "../../support/reference/source-files.ts";

const folder = join(root, referenceFolder);
const pages = await referencePages();

test("docs/reference says what the code says", () => {
  for (const [name, text] of pages)
    assert.ok(
      readFileSync(join(folder, name), "utf8") === text,
      `${referenceFolder}/${name} is stale: run \`npm run docs\``,
    );
  assert.deepEqual(readdirSync(folder).sort(), [...pages.keys()].sort());
});

test("links between pages and into other documents lead somewhere", () => {
  for (const [name, text] of pages)
    for (const [, target] of text.matchAll(/\]\(([^)#]+\.md)[^)]*\)/g))
      assert.ok(readFileSync(join(folder, target ?? ""), "utf8"), `${name} links to ${target}`);
});
