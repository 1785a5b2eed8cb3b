import type { Command, CommanderError } from "commander";
import { listText } from "../input/input-faults.ts";

/** The fault of a command line, with what to write instead. */
export function usageText(command: Command, error: CommanderError): string {
  const name = pathOf(command);
  const subcommands = command.commands.map((each) => each.name());
  // Nothing follows the name of a group, or only an option of its commands.
  if (error.code === "commander.help" || (error.code === "commander.unknownOption" && subcommands.length > 0))
    return `${name} needs a command: choose ${listText(subcommands)}.`;
  const [fault = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const near = /^\(Did you mean (?:one of )?(.+)\?\)$/.exec(suggestion ?? "")?.[1];
  if (near !== undefined) return `${fault}: did you mean ${near}?`;
  if (error.code === "commander.unknownCommand") return `${fault}: choose ${listText(subcommands)}.`;
  return `${fault.replace(/\.$/, "")}: \`${name} --help\` shows its arguments.`;
}

/** `tidegate topics create`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
