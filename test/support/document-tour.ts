import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type CodeBlock, codeBlocks, documentFiles } from "./documents.ts";
import { type ProgramResult, runProgram } from "./run-program.ts";

const root = join(import.meta.dirname, "..", "..");
const reasonMinLength = 8;

/** The code blocks of all documents, with those that were run. */
export class DocumentTour {
  readonly #blocks: readonly CodeBlock[] = documentFiles()
    // Generated from the code, by tests of their own.
    .filter((file) => !file.startsWith("docs/reference/"))
    .flatMap((file) => codeBlocks(file));
  readonly #run = new Set<CodeBlock>();

  /** The only block of a document that holds `word`. It then counts as run. */
  block(file: string, word: string): string {
    const found = this.#blocks.filter((block) => block.file === file && block.text.includes(word));
    const [only] = found;
    if (found.length !== 1 || !only) throw new Error(`${found.length} blocks of ${file} hold ${word}`);
    this.#run.add(only);
    return only.text;
  }

  /** The commands of such a block that begin with `prefix`. */
  commands(file: string, word: string, prefix = ""): string {
    const lines = this.block(file, word).split("\n");
    const commands = lines.filter((line) => line !== "" && line.startsWith(prefix));
    if (commands.length === 0) throw new Error(`no command beside ${word} in ${file} begins with ${prefix}`);
    return commands.join("\n");
  }

  /** Blocks that were neither run nor excused, as FILE:LINE. */
  unseen(): string[] {
    return this.#blocks
      .filter((block) => !this.#run.has(block) && !isExcused(block))
      .map(({ file, line }) => `${file}:${line}`);
  }
}

/**
 * True if a note gives a reason for not running the block (`not run: REASON`), or names the test that runs it
 * (`run by: contract/x`) and names the document in turn.
 */
export function isExcused({ note, file }: CodeBlock): boolean {
  const reason = /^not run: (.*)$/.exec(note)?.[1] ?? "";
  if (reason.length >= reasonMinLength) return true;
  const test = /^run by: ([a-z][\w./-]*)$/.exec(note)?.[1];
  if (test === undefined) return false;
  return readFileSync(join(root, "test", `${test}.test.ts`), "utf8").includes(`${basename(file)}"`);
}

/** Runs a script as the shell of a reader in `folder` would; ends at the first command that fails. */
export async function runScript(
  script: string,
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<ProgramResult> {
  return await runProgram("bash", ["-e", "-c", script], { cwd: folder, environment });
}

/**
 * The script with each text replaced. Each must be there, so that the tests notice a change of the document.
 */
export function replaceEach(script: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the document no longer has the text ${from}:\n${script}`);
    return text.replaceAll(from, to);
  }, script);
}
