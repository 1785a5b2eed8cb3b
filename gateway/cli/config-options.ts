import type { Command } from "commander";
import { type ConfigSources, type LoadedConfig, loadConfig } from "../config/load-config.ts";
import { lakeUrls, streamUrls, windowUrls } from "../config/service-urls.ts";
import { GatewayError } from "../errors.ts";
import { streamKinds } from "../streams/stream-kinds.ts";
import { defaultWindow } from "../windows/window-kinds.ts";

/** Options for places. Each command has some of them. */
export interface ConfigFlags {
  readonly data?: string;
  readonly mqtt?: string;
  readonly http?: string;
  readonly stream?: string;
  readonly window?: string;
  readonly lake?: string;
  readonly roles?: string;
  readonly config?: string;
}

export function addDataOptions(command: Command): Command {
  return command
    .option("--data <dir>", "data folder (default: ./data)")
    .option("--config <file>", "configuration file (TOML)")
    .option("--json", "print one JSON object as the last line of stdout");
}

export function addLakeOption(command: Command): Command {
  return command.option("--lake <url>", `lake: ${lakeUrls} (default: the folder lake of the data folder)`);
}

export function addBackendOptions(command: Command): Command {
  command.option("--stream <url>", `stream: ${streamUrls}`);
  for (const { name, description } of kindFlags) command.option(`--${name}`, description);
  const holders = streamKinds.filter(({ holdsWindow }) => holdsWindow).map(({ label }) => label);
  return addLakeOption(
    command.option(
      "--window <url>",
      `dedupe window: ${windowUrls} (default: the stream's ${holders.join(" or ")}, else ${defaultWindow.url})`,
    ),
  );
}

export function addServiceOptions(command: Command): Command {
  return addBackendOptions(
    command
      .option("--mqtt <host:port>", "address of MQTT (default: 127.0.0.1:1883)")
      .option("--http <host:port>", "address of the HTTP API (default: 127.0.0.1:8080)")
      .option("--roles <list>", "roles to run: broker,consumer or one of them (default: both)"),
  );
}

/** Throws CONFIG_INVALID with everything that is wrong. */
export function loadCommandConfig(
  flags: ConfigFlags,
  environment: Readonly<Record<string, string | undefined>>,
): LoadedConfig {
  return loadConfig({
    flags: settingsOfFlags(flags),
    environment,
    file: flags.config ?? environment["TIDEGATE_CONFIG"] ?? null,
  });
}

/** The setting of each flag. */
const settingsOfFlag = {
  data: ["data"],
  stream: ["stream.url"],
  window: ["window.url"],
  lake: ["lake.url"],
  roles: ["roles"],
  mqtt: ["mqtt.host", "mqtt.port"],
  http: ["http.host", "http.port"],
} as const satisfies Partial<Record<keyof ConfigFlags, readonly string[]>>;

const kindFlags = streamKinds.flatMap(({ flags = [] }) => flags);

const pathsOfFlags: readonly (readonly [flag: string, paths: readonly string[]])[] = [
  ...Object.entries(settingsOfFlag),
  ...kindFlags.map(({ name, setting }) => [name, [setting]] as const),
];

/** By setting path: its flag. */
export const flagsOfSettings: ReadonlyMap<string, string> = new Map(
  pathsOfFlags.flatMap(([name, paths]) => paths.map((path) => [path, `--${name}`])),
);

function settingsOfFlags(flags: ConfigFlags): ConfigSources["flags"] {
  const settings: Record<string, { text: string; flag: string }> = {};
  for (const [name, paths] of pathsOfFlags) {
    const given = (flags as Readonly<Record<string, unknown>>)[name];
    if (given === undefined) continue;
    const flag = `--${name}`;
    const texts = paths.length === 2 ? splitAddress(String(given), flag) : [String(given)];
    for (const [index, path] of paths.entries()) settings[path] = { text: texts[index] ?? "", flag };
  }
  return settings;
}

/** `127.0.0.1:1883`, `[::1]:1883`, `localhost:1883`. Throws USAGE_INVALID. */
function splitAddress(address: string, flag: string): [host: string, port: string] {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  if (!match || !host)
    throw new GatewayError("USAGE_INVALID", `${flag} ${address}: give HOST:PORT, such as 127.0.0.1:1883.`, {
      retryable: false,
    });
  return [host, match[3] as string];
}
