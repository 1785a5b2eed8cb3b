import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before } from "node:test";
import { codeBlocks } from "./documents.ts";
import { runProgram } from "./run-program.ts";

const root = join(import.meta.dirname, "..", "..");
const copied = ["devices", "broker", "bridge", "simulator", "gateway", "test", "docs"];
const files = ["package.json", "tsconfig.json", "tsconfig.build.json", "CHANGELOG.md"];

/** The additions of a page to the sources: whole files, and lines of existing files. */
interface PageSources {
  /** By path. */
  readonly files: ReadonlyMap<string, string>;
  readonly changes: ReadonlyMap<string, string>;
  /** The paths that the page lists. */
  readonly listed: readonly string[];
}

/** Blocks of code begin with a comment that names their file. The first block of text lists them all. */
function sourcesOf(page: string): PageSources {
  const blocks = codeBlocks(page);
  const ofLanguage = (wanted: string) =>
    blocks
      .filter(({ language }) => language === wanted)
      .map(
        ({ text }) => [/^ ?\/\/ (\S+)\n/.exec(text)?.[1] ?? "", text.slice(text.indexOf("\n") + 1)] as const,
      );
  const list = blocks.find(({ language }) => language === "text")?.text ?? "";
  const listed = list.split("\n").flatMap((line) => /^\S+/.exec(line)?.[0] ?? []);
  return { files: new Map(ofLanguage("ts")), changes: new Map(ofLanguage("diff")), listed };
}

/** Copies the sources of the repository into a folder, and adds those of a page. */
function copyWith(folder: string, { files: added, changes }: PageSources): void {
  for (const name of [...copied, ...files]) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [path, text] of added) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  for (const [path, change] of changes) {
    const file = join(folder, path);
    writeFileSync(file, withLines(readFileSync(file, "utf8"), change));
  }
}

/** The additions of a page in a copy of the sources, for the tests of the suite that calls this. */
export function documentedCopy(page: string): {
  readonly sources: PageSources;
  readonly folder: string;
  readonly run: (...args: string[]) => Promise<string>;
} {
  const sources = sourcesOf(page);
  const folder = mkdtempSync(join(tmpdir(), "tidegate-extending-"));
  before(() => copyWith(folder, sources));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return { sources, folder, run: (...args) => runInCopy(folder, ...args) };
}

/** A page lists all that it adds: files below certain places, and one import and one line of a registry. */
export function assertAdditions(sources: PageSources, registry: string, places: RegExp): void {
  const added = [...sources.files.keys(), ...sources.changes.keys()];
  assert.deepEqual(added.toSorted(), [...sources.listed].toSorted());
  assert.deepEqual([...sources.changes.keys()], [registry]);
  for (const path of sources.files.keys()) assert.match(path, places);
  const lines = (sources.changes.get(registry) ?? "").split("\n").filter((line) => line.startsWith("+"));
  assert.deepEqual(
    lines.map((line) => line.startsWith("+import ")),
    [true, false],
  );
}

/** Runs Node.js in a copy of the sources, and returns its output. */
async function runInCopy(folder: string, ...args: string[]): Promise<string> {
  // The environment of this test run is not for the copy; Node.js runs no tests within tests.
  const own = ["NODE_TEST_CONTEXT", "TEST_BUNDLES"].flatMap((name) => ["-u", name]);
  const command = [...own, process.execPath, ...args];
  const { code, stdout, stderr } = await runProgram("env", command, { cwd: folder, environment: {} });
  assert.equal(code, 0, `${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

/** Adds the lines that begin with + after the line before them in the change. */
function withLines(text: string, change: string): string {
  const lines = text.split("\n");
  let at = 0;
  for (const line of change.split("\n").filter((each) => each !== "")) {
    if (line.startsWith("+")) {
      lines.splice(at, 0, line.slice(1));
      at += 1;
      continue;
    }
    at = lines.indexOf(line.slice(1)) + 1;
    if (at === 0) throw new Error(`no line is ${line.slice(1)}`);
  }
  return lines.join("\n");
}
