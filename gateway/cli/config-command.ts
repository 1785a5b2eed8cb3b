import type { Command } from "commander";
import { stringify } from "smol-toml";
import { configSettings } from "../config/load-config.ts";
import { shownSetting } from "../settings/secrets.ts";
import { describeSetting } from "../settings/settings-schema.ts";
import { type CommandEnvironment, runAction } from "./command-context.ts";
import { addDataOptions, addServiceOptions, type ConfigFlags, loadCommandConfig } from "./config-options.ts";

type Flags = ConfigFlags & { readonly json?: boolean };

export function addConfigCommand(program: Command, environment: CommandEnvironment): void {
  const config = program.command("config").description("check or print the configuration");
  const check = addServiceOptions(
    addDataOptions(config.command("check").description("report every fault at once")),
  );
  runAction<Flags>(check, environment, async ({ output, flags }) => {
    loadCommandConfig(flags, environment.variables);
    output.result({ valid: true }, "The configuration is valid.");
    return undefined;
  });
  const print = addServiceOptions(
    addDataOptions(
      config
        .command("print")
        .description("print all settings with unit, default and origin; secrets are left out"),
    ),
  );
  runAction<Flags>(print, environment, async ({ output, flags }) => {
    const { config: loaded, origins } = loadCommandConfig(flags, environment.variables);
    const settings = configSettings().map((setting) => {
      const { path, variable } = setting;
      const { description, unit, fallback } = describeSetting(setting);
      const value = shownSetting(path, valueAt(loaded, path) ?? null);
      const origin = origins.get(path) ?? "default";
      return { path, value, unit, default: fallback ?? null, origin, variable, description };
    });
    output.result({ settings }, tomlText(settings));
    return undefined;
  });
}

interface PrintedSetting {
  readonly path: string;
  readonly value: unknown;
  readonly unit: string | null;
  /** null = none, or one that depends on other settings. */
  readonly default: unknown;
  readonly origin: string;
  readonly description: string;
}

/** A file with the same settings, each with its meaning and its source. */
function tomlText(settings: readonly PrintedSetting[]): string {
  const lines: string[] = [];
  let section = "";
  // TOML: keys before the first section belong to no section.
  const ordered = [...settings].sort((left, right) =>
    sectionOf(left.path).localeCompare(sectionOf(right.path)),
  );
  for (const setting of ordered) {
    const own = sectionOf(setting.path);
    if (own !== section) lines.push("", `[${own}]`);
    section = own;
    const key = setting.path.slice(own === "" ? 0 : own.length + 1);
    lines.push(`# ${setting.description} (${factsOf(setting)})`);
    const isSecret = setting.value !== null && String(setting.value).includes("***");
    if (setting.value === null) lines.push(`# ${key} = …`);
    else lines.push(`${isSecret ? "# " : ""}${stringify({ [key]: setting.value }).trim()}`);
  }
  return lines.join("\n");
}

/**
 * Unit, default and origin. The default is the origin of a setting that no source names, and is not repeated.
 */
function factsOf({ unit, default: fallback, origin }: PrintedSetting): string {
  const facts = unit === null ? [] : [unit];
  if (origin.startsWith("default")) return [...facts, origin].join("; ");
  if (fallback !== null) facts.push(`default ${JSON.stringify(fallback)}`);
  return [...facts, `set by ${origin}`].join("; ");
}

function sectionOf(path: string): string {
  return path.split(".").slice(0, -1).join(".");
}

function valueAt(tree: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], tree);
}
