import type { EventEmitter } from "node:events";
import type { Argument, Command, Option } from "commander";
import { commandExamples } from "../../../gateway/cli/command-examples.ts";
import { createProgram } from "../../../gateway/cli/program.ts";
import { commandExamples as simulatorExamples } from "../../../simulator/command/command-examples.ts";
import { createProgram as createSimulator } from "../../../simulator/command/commands.ts";

export interface DescribedCommand {
  /** Without `tidegate`: `topics create`. */
  readonly name: string;
  readonly description: string;
  readonly arguments: readonly Argument[];
  readonly options: readonly Option[];
  readonly examples: readonly string[];
  /** The text of `--help` after the options, without examples. */
  readonly notes: string;
  readonly command: Command;
}

const nowhere = { out: () => {}, error: () => {} };

/** Every command that does something, in the order of `--help`. */
export function describedCommands(): DescribedCommand[] {
  const program = createProgram({
    streams: nowhere,
    variables: {},
    version: "",
    program: "",
    exit: () => {},
  });
  const terminal = {
    stdout: { write: () => {} },
    stderr: process.stderr,
    stop: new AbortController().signal,
    gateway: "",
  };
  const simulator = createSimulator(terminal, () => {});
  return leavesOf(program).map(({ name, command }) => {
    // The gateway passes these on; the simulator defines their options.
    const own = simulator.commands.find((each) => each.name() === name) ?? command;
    const examples = { ...commandExamples, ...simulatorExamples }[name] ?? [];
    return {
      name,
      description: command.description(),
      arguments: own.registeredArguments,
      options: own.options,
      examples,
      notes: notesOf(own),
      command: own,
    };
  });
}

function leavesOf(parent: Command, prefix = ""): { name: string; command: Command }[] {
  return parent.commands.flatMap((command) => {
    const name = `${prefix}${command.name()}`;
    return command.commands.length > 0 ? leavesOf(command, `${name} `) : [{ name, command }];
  });
}

function notesOf(command: Command): string {
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  // Commander writes its help by events, which its types leave out.
  (command as unknown as EventEmitter).emit("afterHelp", { error: false, command, write });
  return text
    .replace(/^Examples:\n(?: {2}.*\n|Then: .*\n)+/m, "")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}
