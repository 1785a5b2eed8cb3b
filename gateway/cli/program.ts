import { Command } from "commander";
import type { CommandEnvironment } from "./command-context.ts";
import { addExamples } from "./command-examples.ts";
import { addConfigCommand } from "./config-command.ts";
import { addDevicesCommand } from "./devices-command.ts";
import { addMigrateCommand } from "./migrate-command.ts";
import { addQuarantineCommand } from "./quarantine-command.ts";
import { addQueryCommand } from "./query-command.ts";
import { addSimulatorCommands } from "./simulator-commands.ts";
import { addStatusCommand } from "./status-command.ts";
import { addStreamCommand } from "./stream-command.ts";
import { addTopicsCommand } from "./topics-command.ts";
import { addUpCommand } from "./up-command.ts";

/** The command line. Each command has a file of its own; this is the order that --help shows. */
const commands = [
  addUpCommand,
  addStatusCommand,
  addQueryCommand,
  addTopicsCommand,
  addDevicesCommand,
  addQuarantineCommand,
  addStreamCommand,
  addMigrateCommand,
  addSimulatorCommands,
  addConfigCommand,
];

export function createProgram(environment: CommandEnvironment): Command {
  const program = new Command("tidegate")
    .description("MQTT ingestion gateway: an acknowledged message is in the files exactly once")
    .version(environment.version)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: environment.streams.out,
      writeErr: environment.streams.error,
      // `runCommandLine` prints the error in its own words.
      outputError: () => {},
    })
    .exitOverride();
  for (const add of commands) add(program, environment);
  addExamples(program);
  return program;
}
