import { OptionalKind, type TObject } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { expectedText } from "../schema/schema-words.ts";
import { type Setting, settingsOf } from "./settings-schema.ts";
import type { ConfigFault, GivenValue, SourceReading } from "./settings-sources.ts";

export interface SettingsReading {
  /** Nested as in the schema, with defaults; complete only if there are no faults. */
  readonly tree: Record<string, unknown>;
  /** By path; `default` if no source sets the value. */
  readonly origins: ReadonlyMap<string, string>;
  readonly faults: readonly ConfigFault[];
  /** The source that sets the value, with the line of a file; null = no source does. */
  readonly placeOf: (path: string) => string | null;
}

/** Merges the sources over the schema's defaults, and checks each value by itself. Earlier sources win. */
export function readSettings(schema: TObject, sources: readonly SourceReading[]): SettingsReading {
  const tree: Record<string, unknown> = {};
  const origins = new Map<string, string>();
  const faults = sources.flatMap((source) => source.faults);
  for (const setting of settingsOf(schema)) {
    const given = firstGiven(sources, setting.path);
    const value = given ? given.value : defaultOf(setting);
    origins.set(setting.path, given?.origin ?? "default");
    if (value === undefined && isOptional(setting)) continue;
    const fault = checkValue(setting, value, given);
    if (fault) faults.push(fault);
    setPath(tree, setting.path, value);
  }
  return { tree, origins, faults, placeOf: (path) => firstGiven(sources, path)?.place() ?? null };
}

function firstGiven(sources: readonly SourceReading[], path: string): GivenValue | undefined {
  for (const source of sources) {
    const given = source.values.get(path);
    if (given) return given;
  }
  return undefined;
}

function defaultOf(setting: Setting): unknown {
  return structuredClone(setting.schema["default"]);
}

function isOptional(setting: Setting): boolean {
  return OptionalKind in setting.schema;
}

function checkValue(setting: Setting, value: unknown, given: GivenValue | undefined): ConfigFault | null {
  if (Value.Check(setting.schema, value)) return null;
  const where = given ? `in ${given.place()}` : `with ${setting.variable} or in the configuration file`;
  return {
    path: setting.path,
    value,
    expected: expectedText(setting.schema),
    mend: `${given ? "correct" : "set"} it ${where}`,
  };
}

function setPath(tree: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split(".");
  const last = keys.pop() as string;
  let node = tree;
  for (const key of keys) {
    node[key] ??= {};
    node = node[key] as Record<string, unknown>;
  }
  node[last] = value;
}

/** Freezes a tree of plain values at every level. */
export function deepFreeze<Tree>(tree: Tree): Tree {
  if (typeof tree === "object" && tree !== null && !Object.isFrozen(tree)) {
    Object.freeze(tree);
    for (const value of Object.values(tree)) deepFreeze(value);
  }
  return tree;
}
