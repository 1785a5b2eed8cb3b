import type { Command } from "commander";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { GatewayError } from "../errors.ts";
import { ApiClient } from "./api-client.ts";
import { CommandOutput, type CommandStreams } from "./command-output.ts";
import { type ConfigFlags, loadCommandConfig } from "./config-options.ts";

/** Everything that commands get from outside. */
export interface CommandEnvironment {
  readonly streams: CommandStreams;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** The program's version. */
  readonly version: string;
  /** The program's own file, to start child processes from. */
  readonly program: string;
  /** Told the exit code when a command has ended. */
  readonly exit: (code: number) => void;
}

type Action<Flags> = (context: {
  output: CommandOutput;
  flags: Flags;
  args: string[];
}) => Promise<number | undefined>;

/** Errors for a wrong request, as opposed to a failed one. */
export const usageCodes: ReadonlySet<string> = new Set([
  "CONFIG_INVALID",
  "USAGE_INVALID",
  "REQUEST_INVALID",
  "TOPIC_INVALID",
  "TOPIC_SCHEMA_INVALID",
  "DEVICE_INVALID",
]);

export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

/**
 * Wraps an action of a command: errors become a text on stderr (with --json also an object on stdout) and an
 * exit code. Exit codes: 0 ok, 1 failed, 2 wrong usage or configuration. An action may return another code
 * itself.
 */
export function runAction<Flags extends { json?: boolean }>(
  command: Command,
  environment: CommandEnvironment,
  action: Action<Flags>,
): void {
  command.action(async () => {
    const flags = command.opts<Flags>();
    const output = new CommandOutput(environment.streams, flags.json === true);
    try {
      refuseSwallowedFlags(flags);
      const code = await action({ output, flags, args: command.args });
      environment.exit(code ?? exitCodes.ok);
    } catch (error) {
      environment.exit(reportError(output, error));
    }
  });
}

/** `--filter --json` would be a filter named --json. */
function refuseSwallowedFlags(flags: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(flags)) {
    if (typeof value !== "string" || !/^--\w/.test(value)) continue;
    const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    const text = `${flag} is missing its value: ${value} follows it.`;
    throw new GatewayError("USAGE_INVALID", text, { retryable: false });
  }
}

function reportError(output: CommandOutput, error: unknown): number {
  if (error instanceof CodedError) {
    output.error(error.code, error.message, error.details);
    return usageCodes.has(error.code) ? exitCodes.usage : exitCodes.failed;
  }
  output.error("INTERNAL_ERROR", error instanceof Error ? (error.stack ?? error.message) : String(error), {});
  return exitCodes.failed;
}

export function apiOf(flags: ConfigFlags, environment: CommandEnvironment): ApiClient {
  return ApiClient.of(loadCommandConfig(flags, environment.variables).config, environment.variables);
}
