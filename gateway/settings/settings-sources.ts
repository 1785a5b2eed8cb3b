import { parse, TomlError, type TomlTable } from "smol-toml";
import { nearestName } from "../input/nearest-name.ts";
import { valueFromText } from "../schema/value-from-text.ts";
import type { Setting } from "./settings-schema.ts";
import { tomlLineOf } from "./toml-lines.ts";

/** One fault of the configuration. */
export interface ConfigFault {
  /** Dotted path of the setting, or its place. */
  readonly path: string;
  /** The given value; `undefined` if it is missing. */
  readonly value: unknown;
  /** Shown instead of a value: "is not TOML". */
  readonly state?: string;
  readonly expected: string;
  /** How to correct the fault. */
  readonly mend: string;
  /** The source of the value: a flag, a variable, or a file with its line. */
  readonly place?: string;
}

/** A value and its source. */
export interface GivenValue {
  readonly value: unknown;
  /** `--mqtt`, `TIDEGATE_HTTP_PORT`, `tidegate.toml`. */
  readonly origin: string;
  /** The same, with the line of a file. Found on demand only. */
  readonly place: () => string;
}

export interface SourceReading {
  readonly values: ReadonlyMap<string, GivenValue>;
  readonly faults: readonly ConfigFault[];
}

/** Variables with the same prefix that are not settings. */
const otherVariables = new Set(["TIDEGATE_TOKEN", "TIDEGATE_API", "TIDEGATE_CONFIG"]);
/** Kubernetes sets these variables in every pod of a namespace that has a service named `tidegate`. */
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
    if (setting) values.set(setting.path, givenBy(variable, valueFromText(setting.schema, text)));
    else faults.push(unknownFault(variable, text, [...byVariable.keys()], "the environment"));
  }
  return { values, faults };
}

/** `flags`: setting paths with their text and the name of the flag. */
export function readFlags(
  settings: readonly Setting[],
  flags: Readonly<Record<string, { text: string; flag: string }>>,
): SourceReading {
  const values = new Map<string, GivenValue>();
  for (const setting of settings) {
    const given = flags[setting.path];
    if (given) values.set(setting.path, givenBy(given.flag, valueFromText(setting.schema, given.text)));
  }
  return { values, faults: [] };
}

function givenBy(origin: string, value: unknown): GivenValue {
  return { value, origin, place: () => origin };
}

export function readToml(settings: readonly Setting[], text: string, fileName: string): SourceReading {
  let table: TomlTable;
  try {
    table = parse(text);
  } catch (error) {
    const fault = {
      path: fileName,
      value: undefined,
      state: "is not TOML",
      expected: "TOML",
      mend: tomlMend(error),
    };
    return { values: new Map(), faults: [fault] };
  }
  const values = new Map<string, GivenValue>();
  const faults: ConfigFault[] = [];
  const paths = new Set(settings.map((setting) => setting.path));
  const sections = new Set(settings.flatMap((setting) => prefixesOf(setting.path)));
  const walk = (node: TomlTable, prefix: string): void => {
    for (const [key, value] of Object.entries(node)) {
      const path = prefix === "" ? key : `${prefix}.${key}`;
      const place = () => placeIn(fileName, text, path);
      if (paths.has(path)) values.set(path, { value, origin: fileName, place });
      else if (sections.has(path) && isTable(value)) walk(value, path);
      else if (sections.has(path))
        faults.push({
          path,
          value,
          expected: "a section",
          mend: `write [${path}] and its settings into ${fileName}`,
          place: place(),
        });
      else faults.push({ ...unknownFault(path, value, [...paths], fileName), place: place() });
    }
  };
  walk(table, "");
  return { values, faults };
}

function tomlMend(error: unknown): string {
  if (!(error instanceof TomlError)) return `correct the file: ${String(error)}`;
  const [reason = ""] = error.message.replace("Invalid TOML document: ", "").split("\n");
  return `correct line ${error.line}, column ${error.column}: ${reason}`;
}

function placeIn(fileName: string, text: string, path: string): string {
  const line = tomlLineOf(text, path);
  return line === null ? fileName : `${fileName}, line ${line}`;
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
