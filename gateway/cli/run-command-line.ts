import type { Command } from "commander";
import { CommanderError } from "commander";
import { type CommandEnvironment, exitCodes } from "./command-context.ts";
import { CommandOutput } from "./command-output.ts";
import { createProgram } from "./program.ts";
import { usageText } from "./usage-text.ts";

/** Runs `tidegate ARGS` and resolves with its exit code. */
export async function runCommandLine(
  args: readonly string[],
  environment: Omit<CommandEnvironment, "exit">,
): Promise<number> {
  let code: number = exitCodes.ok;
  let failing: Command | null = null;
  const program = createProgram({
    ...environment,
    exit: (said) => {
      code = said;
    },
  });
  onCommandError(program, (command) => {
    failing = command;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version are shown by throwing as well; any other error is wrong usage.
    if (error.exitCode === 0) return exitCodes.ok;
    const output = new CommandOutput(environment.streams, args.includes("--json"));
    output.error("USAGE_INVALID", usageText(failing ?? program, error), {});
    return exitCodes.usage;
  }
}

/** Called with the command whose line is wrong, before its error is thrown. */
function onCommandError(command: Command, told: (command: Command) => void): void {
  command.exitOverride((error) => {
    told(command);
    throw error;
  });
  for (const subcommand of command.commands) onCommandError(subcommand, told);
}
