import { flagsOfSettings } from "../../../gateway/cli/config-options.ts";
import { configSettings } from "../../../gateway/config/load-config.ts";
import { describeSetting, type Setting } from "../../../gateway/settings/settings-schema.ts";
import { code, page, sentence, table } from "./markdown.ts";

const introduction = `Flags win over environment variables, variables over the file (\`--config FILE\`, TOML), the file over defaults.
All faults are reported at once, before anything starts (\`tidegate config check\`). \`tidegate config print\` shows what is in
force, with unit, default and origin of each setting. In the file \`stream.maxBytes\` stands as \`maxBytes\` in the section \`[stream]\`.

\`TIDEGATE_CONFIG\` names the file, if \`--config\` does not. \`TIDEGATE_API\` (URL) and \`TIDEGATE_TOKEN\` are for commands that ask a
gateway whose data folder they can't read.`;

export function settingsPage(): string {
  const sections = new Map<string, Setting[]>();
  for (const setting of configSettings()) {
    const section = setting.path.split(".").slice(0, -1).join(".");
    sections.set(section, [...(sections.get(section) ?? []), setting]);
  }
  const parts = [...sections].map(
    ([section, settings]) => `## ${section === "" ? "Top level" : section}\n\n${settingsTable(settings)}`,
  );
  return page("Settings", [introduction, ...parts]);
}

function settingsTable(settings: readonly Setting[]): string {
  const header = ["setting", "type and range", "unit", "default", "variable", "flag", "meaning"];
  return table(
    header,
    settings.map((setting) => {
      const { kind, unit, fallback, description } = describeSetting(setting);
      return [
        code(setting.path),
        kind,
        unit ?? "",
        fallback === undefined ? missingDefault(description) : defaultText(fallback, unit),
        code(setting.variable),
        code(flagsOfSettings.get(setting.path) ?? ""),
        sentence(description),
      ];
    }),
  );
}

function defaultText(fallback: unknown, unit: string | null): string {
  const round = typeof fallback === "number" ? roundText(fallback, unit) : "";
  return code(JSON.stringify(fallback)) + round;
}

const larger: Readonly<Record<string, readonly (readonly [name: string, size: number])[]>> = {
  bytes: [
    ["GiB", 1024 ** 3],
    ["MiB", 1024 ** 2],
    ["KiB", 1024],
  ],
  ms: [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1000],
  ],
};

/** The same in a larger unit, if it is a whole number there. */
function roundText(value: number, unit: string | null): string {
  const found = (larger[unit ?? ""] ?? []).find(([, size]) => value >= size && value % size === 0);
  return found ? ` (${value / found[1]} ${found[0]})` : "";
}

function missingDefault(description: string): string {
  return description.includes("default: ") ? "see meaning" : "none";
}
