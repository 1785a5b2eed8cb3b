import type { Argument, Option } from "commander";
import { exitCodes } from "../../../gateway/cli/command-context.ts";
import { type DescribedCommand, describedCommands } from "./command-tree.ts";
import { code, page, sentence, table } from "./markdown.ts";

const introduction = `From a checkout: \`npx tidegate COMMAND\`. \`--help\` after any command says the same as this page.

Results go to stdout, everything else to stderr. With \`--json\` the last line of stdout is one JSON object; an error is
\`{"error": {"code", "message", "details"}}\`, of every command. Codes: [errors](errors.md).
Options that set a setting (\`--data\`, \`--stream\`, …) win over variables and files: [settings](settings.md).

Commands that ask the running gateway find address and token in its data folder (\`--data\`), or in \`TIDEGATE_API\` and \`TIDEGATE_TOKEN\`.`;

/** The meaning of each exit code, and exceptions of single commands. */
const readings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: "done. `up`: stopped, and everything in the stream was filed. `simulate`: everything was sent and acknowledged. `audit`, `prove`: proved",
  failed:
    "failed. `up`: stopped with messages that are filed after the next start. `simulate`: not everything was sent. `audit`, `prove`: not proved",
  usage: "wrong usage or configuration; nothing was done",
};

export function cliPage(): string {
  const codes = Object.entries(exitCodes).map(([name, value]) => [
    String(value),
    readings[name as keyof typeof exitCodes],
  ]);
  return page("Commands", [
    introduction,
    `## Exit codes\n\n${table(["code", "meaning"], codes)}`,
    ...describedCommands().map(commandPart),
  ]);
}

function commandPart(command: DescribedCommand): string {
  const { name, description, examples, notes } = command;
  return [
    `## tidegate ${[name, ...command.arguments.map(argumentText)].join(" ")}`,
    sentence(description.charAt(0).toUpperCase() + description.slice(1)),
    table(["option", "default", "meaning"], command.options.map(optionRow)),
    block("", examples.join("\n")),
    ...(notes === "" ? [] : [block("text", notes)]),
  ].join("\n\n");
}

function block(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

function argumentText(argument: Argument): string {
  const name = `${argument.name().toUpperCase()}${argument.variadic ? "…" : ""}`;
  return argument.required ? name : `[${name}]`;
}

/** Defaults that depend on something else stand at the end of the description. */
function optionRow({ flags, description, defaultValue }: Option): string[] {
  const said = / \(default: (.*)\)$/.exec(description);
  const isRequired = description.endsWith(" (required)");
  const meaning = description.replace(/ \((default: .*|required)\)$/, "");
  const fallback = isRequired ? "required" : String(defaultValue ?? said?.[1] ?? "");
  return [code(flags), fallback, sentence(meaning)];
}
