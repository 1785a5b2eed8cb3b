import { CommanderError } from "commander";
import { type CommandEnvironment, exitCodes } from "./command-context.ts";
import { createProgram } from "./program.ts";

/** Runs `tidegate ARGS` and resolves with its exit code. */
export async function runCommandLine(
  args: readonly string[],
  environment: Omit<CommandEnvironment, "exit">,
): Promise<number> {
  let code: number = exitCodes.ok;
  const program = createProgram({
    ...environment,
    exit: (said) => {
      code = said;
    },
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version are shown by throwing as well; everything else is wrong usage, and has been said on stderr.
    if (error.exitCode === 0) return exitCodes.ok;
    const usage = { code: "USAGE_INVALID", message: error.message };
    if (args.includes("--json")) environment.streams.out(`${JSON.stringify({ error: usage })}\n`);
    return exitCodes.usage;
  }
}
