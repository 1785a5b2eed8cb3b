import { spawn } from "node:child_process";
import { dirname, extname, join } from "node:path";
import type { Command } from "commander";
import type { CommandEnvironment } from "./command-context.ts";

/**
 * Commands of the simulator, which is a program of its own: it reaches the gateway only through the wire and
 * the tables. The simulator reads all arguments after the command's name, `--help` included.
 */
export function addSimulatorCommands(program: Command, environment: CommandEnvironment): void {
  const commands = {
    simulate: "run a fleet of simulated devices and keep a ledger of acknowledged messages",
    audit: "compare a ledger with the lake",
    prove:
      "inject faults into a test gateway, its servers, clocks, topics and tables while a fleet publishes, then audit",
  };
  for (const [name, description] of Object.entries(commands)) {
    program
      .command(name)
      .description(description)
      .helpOption(false)
      .allowUnknownOption()
      .allowExcessArguments()
      .passThroughOptions()
      .argument("[args...]")
      .action(async (args: string[]) => environment.exit(await runSimulator(environment, [name, ...args])));
  }
}

function runSimulator(environment: CommandEnvironment, args: readonly string[]): Promise<number> {
  const extension = extname(environment.program);
  const simulator = join(dirname(environment.program), "..", "simulator", `main${extension}`);
  const child = spawn(process.execPath, [...process.execArgv, simulator, ...args], { stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child by itself. The child ends after its last words, and then this
  // process ends.
  process.on("SIGINT", () => {});
  for (const signal of handedOn(args[0])) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once("error", (error) => {
      environment.streams.error(`The simulator can't be started: ${error.message}\n`);
      resolve(1);
    });
    child.once("close", (code) => resolve(code ?? 1));
  });
}

/**
 * A second SIGINT would end `simulate` at once; `prove` ends once, by whatever comes, and takes along all
 * that it started.
 */
function handedOn(command: string | undefined): readonly NodeJS.Signals[] {
  return command === "prove" ? ["SIGINT", "SIGTERM", "SIGHUP"] : ["SIGTERM"];
}
