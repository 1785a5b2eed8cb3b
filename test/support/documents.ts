import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const folders = ["docs", "devices", "broker", "bridge", "simulator", "gateway", "test", "deploy", "examples"];

/** Markdown files of the repository, relative to it; fixtures are data. */
export function documentFiles(): string[] {
  const top = readdirSync(root).filter((name) => name.endsWith(".md"));
  const below = folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter(
          (name) => name.endsWith(".md") && !/(^|\/)(node_modules|fixtures)\//.test(`${folder}/${name}`),
        )
        .map((name) => `${folder}/${name}`),
    );
  return [...top, ...below].sort();
}

export function documentText(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

export interface CodeBlock {
  readonly file: string;
  /** Number of its first line, from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /**
   * The HTML comment on the line above it, or else one for all blocks of the document (`blocks run by: …`);
   * "" if there is none.
   */
  readonly note: string;
}

/** The fenced blocks of a document. */
export function codeBlocks(file: string, text: string = documentText(file)): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const lines = text.split("\n");
  const common = /^<!-- blocks (run by: .*) -->$/m.exec(text)?.[1] ?? "";
  for (let index = 0; index < lines.length; index++) {
    const [, indent, language] = /^(\s*)```(\S*)/.exec(lines[index] ?? "") ?? [];
    if (indent === undefined) continue;
    const end = lines.findIndex((line, at) => at > index && line.trim() === "```");
    if (end < 0) throw new Error(`${file}:${index + 1}: the block has no end`);
    const body = lines.slice(index + 1, end).map((line) => `${line.replace(indent, "")}\n`);
    const note = /^\s*<!-- (.*) -->$/.exec(lines[index - 1] ?? "")?.[1] ?? common;
    blocks.push({ file, line: index + 1, language: language ?? "", text: body.join(""), note });
    index = end;
  }
  return blocks;
}

/** A document without its fenced blocks: prose, tables and headings. */
export function proseOf(text: string): string {
  return text.replace(/^(\s*)```[\s\S]*?^\1```$/gm, "");
}

/** The anchors of a document's headings, as GitHub makes them. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of proseOf(text).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");
    const slug = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-");
    let unique = slug;
    for (let count = 1; anchors.has(unique); count++) unique = `${slug}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

export interface DocumentLink {
  /** Relative to the document; "" = the document itself. */
  readonly path: string;
  readonly anchor: string;
}

/** Links of a document to files of the repository. */
export function linksOf(text: string): DocumentLink[] {
  const targets = [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = "", anchor = ""] = target.split("#");
      return { path, anchor };
    });
}
