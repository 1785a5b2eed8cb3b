import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ProgramResult, runProgram } from "./run-program.ts";

const root = join(import.meta.dirname, "..", "..");

/** A section's shell block that holds `word`, as only one of them does; of its commands those that begin with `prefix`. */
export function readmeCommands(section: string, word: string, prefix = ""): string {
  const text = readFileSync(join(root, "README.md"), "utf8");
  const body = text.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  const blocks = [...body.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? "");
  const found = blocks.filter((block) => block.includes(word));
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${section} in README.md hold ${word}`);
  const commands = (found[0] ?? "").split("\n").filter((line) => line !== "" && line.startsWith(prefix));
  if (commands.length === 0) throw new Error(`no command beside ${word} in README.md begins with ${prefix}`);
  return commands.join("\n");
}

/** Runs a script as a visitor's shell would who follows README.md in `folder`; it ends at the first command that fails. */
export async function runScript(
  script: string,
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<ProgramResult> {
  return await runProgram("bash", ["-e", "-c", script], { cwd: folder, environment });
}

/** The script with each text replaced; every one of them must be there, so that the tests notice when README.md says something else. */
export function replaceEach(script: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`README.md does not say ${from} any more:\n${script}`);
    return text.replaceAll(from, to);
  }, script);
}
