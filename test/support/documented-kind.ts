import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { codeBlocks } from "./documents.ts";

const root = join(import.meta.dirname, "..", "..");
const copied = ["devices", "broker", "bridge", "simulator", "gateway", "test", "docs"];
const files = ["package.json", "tsconfig.json", "tsconfig.build.json", "CHANGELOG.md"];

/** What a page adds to the sources: whole files, and lines of files that are there. */
export interface PageSources {
  /** By path. */
  readonly files: ReadonlyMap<string, string>;
  readonly changes: ReadonlyMap<string, string>;
  /** The paths that the page lists. */
  readonly listed: readonly string[];
}

/** Blocks of code begin with a comment that names their file. The first block of text lists them all. */
export function sourcesOf(page: string): PageSources {
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
export function copyWith(folder: string, { files: added, changes }: PageSources): void {
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

/** Adds the lines that begin with + after the line that stands before them in the change. */
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
