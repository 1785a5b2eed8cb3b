import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import {
  anchorsOf,
  codeBlocks,
  documentFiles,
  documentText,
  linksOf,
  proseOf,
} from "../../support/documents.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const readmeLinesMax = 120;
const sourceFolders = ["devices", "broker", "bridge", "simulator", "gateway", "test"];

/** What is wrong with the links of a document, by its text. */
function linkFaults(file: string, text: string): string[] {
  return linksOf(text).flatMap(({ path, anchor }) => {
    const target = path === "" ? file : normalize(join(dirname(file), path));
    if (!existsSync(join(root, target))) return [`${file}: ${path} does not exist`];
    if (anchor === "" || !target.endsWith(".md")) return [];
    const anchors = anchorsOf(target === file ? text : documentText(target));
    return anchors.has(anchor) ? [] : [`${file}: ${target} has no heading #${anchor}`];
  });
}

/** Files and tests that a document names in code spans. */
function nameFaults(file: string, text: string): string[] {
  const spans = [...proseOf(text).matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
  return spans.flatMap((span) => {
    if (/^(unit|contract|simulation|integration)\/[\w./-]+$/.test(span))
      return isTest(span) ? [] : [`${file}: there is no test ${span}`];
    const isPath = /^(devices|broker|bridge|simulator|gateway|docs|test)\/[\w./-]*(\.\w+|\/)$/.test(span);
    return !isPath || existsSync(join(root, span)) ? [] : [`${file}: no file ${span}`];
  });
}

function isThere(target: string, anchor = ""): boolean {
  if (!existsSync(join(root, target))) return false;
  return anchor === "" || anchorsOf(documentText(target)).has(anchor.slice(1));
}

function isTest(name: string): boolean {
  return ["", ".test.ts", ".ts"].some((ending) => existsSync(join(root, "test", `${name}${ending}`)));
}

test("every link and anchor of a document leads somewhere", () => {
  assert.deepEqual(
    documentFiles().flatMap((file) => linkFaults(file, documentText(file))),
    [],
  );
});

test("a link to nowhere is found", () => {
  const text =
    "# Head `x`: a *b*\n\n[a](README.md) [b](#head-x-a-b) [c](docs/none.md) [d](LICENSE#x) [e](README.md#none)";
  assert.deepEqual(linkFaults("CHANGELOG.md", text), [
    "CHANGELOG.md: docs/none.md does not exist",
    "CHANGELOG.md: README.md has no heading #none",
  ]);
});

test("every file and test that a document names exists", () => {
  // Decisions and the changelog tell of their time.
  const files = documentFiles().filter((file) => !/^(docs\/decisions\/\d|CHANGELOG)/.test(file));
  assert.deepEqual(
    files.flatMap((file) => nameFaults(file, documentText(file))),
    [],
  );
});

test("a file or test that does not exist is found", () => {
  const text = "`unit/docs/links` `unit/docs/none` `test/unit/docs/` `broker/none.ts` `broker/index.ts`";
  assert.deepEqual(nameFaults("x.md", text), [
    "x.md: there is no test unit/docs/none",
    "x.md: no file broker/none.ts",
  ]);
});

test("every document that a source names exists", () => {
  const faults = sourceFolders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(ts|mjs|py)$/.test(name) && !name.includes("unit/docs/links"))
      .flatMap((name) => {
        const text = readFileSync(join(root, folder, name), "utf8");
        const named = [...text.matchAll(/(?<![\w/.-])(docs\/[\w/.-]+\.md|[\w/-]+\/README\.md)(#[\w-]+)?/g)];
        return named
          .filter(([, target = "", anchor]) => !isThere(target, anchor))
          .map(([target]) => `${folder}/${name}: ${target} does not exist`);
      }),
  );
  assert.deepEqual(faults, []);
});

test(`README.md has at most ${readmeLinesMax} lines`, () => {
  assert.ok(documentText("README.md").split("\n").length - 1 <= readmeLinesMax);
});

test("code blocks are found with language, note and place", () => {
  const text = "a\n\n<!-- not run: a picture -->\n```text\nx\n```\n\n- b\n\n  ```sh\n  echo\n  ```\n";
  assert.deepEqual(codeBlocks("a.md", text), [
    { file: "a.md", line: 4, language: "text", text: "x\n", note: "not run: a picture" },
    { file: "a.md", line: 10, language: "sh", text: "echo\n", note: "" },
  ]);
  const [block] = codeBlocks("a.md", "<!-- blocks run by: contract/x -->\n\n```ts\nx\n```\n");
  assert.equal(block?.note, "run by: contract/x");
});
