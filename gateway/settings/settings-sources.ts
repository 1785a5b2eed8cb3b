import { parse, type TomlTable } from "smol-toml";
import { nearestName } from "../input/nearest-name.ts";
import { type Setting, valueFromText } from "./settings-schema.ts";

/** One thing that is wrong with the configuration. */
export interface ConfigFault {
  /** Dotted path of the setting, or where it stands. */
  readonly path: string;
  /** As given; `undefined` where it is missing. */
  readonly value: unknown;
  readonly expected: string;
  /** What to do about it. */
  readonly mend: string;
}

/** A value and where it was said. */
export interface GivenValue {
  readonly value: unknown;
  /** `--mqtt`, `TIDEGATE_HTTP_PORT`, `tidegate.toml`. */
  readonly origin: string;
}

export interface SourceReading {
  readonly values: ReadonlyMap<string, GivenValue>;
  readonly faults: readonly ConfigFault[];
}

/** Variables that share the prefix without being settings. */
const otherVariables = new Set(["TIDEGATE_TOKEN", "TIDEGATE_API", "TIDEGATE_CONFIG"]);
/** Kubernetes sets these in every pod beside a service named `tidegate`. */
const serviceLink = /^TIDEGATE_(SERVICE_|PORT($|_))/;

export function readEnvironment(
  settings: readonly Setting[],
  environment: Readonly<Record<string, string | undefined>>,
): SourceReading {
  const values = new Map<string, GivenValue>();
  const faults: ConfigFault[] = [];
  const byVariable = new Map(settings.map((setting) => [setting.variable, setting]));
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith("TIDEGATE_")) continue;
    if (otherVariables.has(variable) || serviceLink.test(variable)) continue;
    const setting = byVariable.get(variable);
    if (setting) values.set(setting.path, { value: valueFromText(setting.schema, text), origin: variable });
    else faults.push(unknownFault(variable, text, [...byVariable.keys()], "the environment"));
  }
  return { values, faults };
}

/** `flags`: setting paths with their text and the flag that said so. */
export function readFlags(
  settings: readonly Setting[],
  flags: Readonly<Record<string, { text: string; flag: string }>>,
): SourceReading {
  const values = new Map<string, GivenValue>();
  for (const setting of settings) {
    const given = flags[setting.path];
    if (given)
      values.set(setting.path, { value: valueFromText(setting.schema, given.text), origin: given.flag });
  }
  return { values, faults: [] };
}

export function readToml(settings: readonly Setting[], text: string, fileName: string): SourceReading {
  let table: TomlTable;
  try {
    table = parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      values: new Map(),
      faults: [
        { path: fileName, value: undefined, expected: "TOML", mend: `mend the file: ${reason.trim()}` },
      ],
    };
  }
  const values = new Map<string, GivenValue>();
  const faults: ConfigFault[] = [];
  const paths = new Set(settings.map((setting) => setting.path));
  const sections = new Set(settings.flatMap((setting) => prefixesOf(setting.path)));
  const walk = (node: TomlTable, prefix: string): void => {
    for (const [key, value] of Object.entries(node)) {
      const path = prefix === "" ? key : `${prefix}.${key}`;
      if (paths.has(path)) values.set(path, { value, origin: fileName });
      else if (sections.has(path) && isTable(value)) walk(value, path);
      else if (sections.has(path))
        faults.push({
          path,
          value,
          expected: "a section",
          mend: `write [${path}] and its settings into ${fileName}`,
        });
      else faults.push(unknownFault(path, value, [...paths], fileName));
    }
  };
  walk(table, "");
  return { values, faults };
}

function isTable(value: unknown): value is TomlTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function prefixesOf(path: string): string[] {
  const parts = path.split(".");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("."));
}

function unknownFault(path: string, value: unknown, known: readonly string[], place: string): ConfigFault {
  const near = nearestName(path, known);
  return {
    path,
    value,
    expected: "a setting that exists",
    mend: near
      ? `did you mean ${near}?`
      : `remove it from ${place}; \`tidegate config print\` lists all settings`,
  };
}
