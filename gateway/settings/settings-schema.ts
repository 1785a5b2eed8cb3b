import type { TObject, TSchema } from "@sinclair/typebox";

/** One value that can be set, found by walking the nested objects of the schema. */
export interface Setting {
  /** Dotted: `stream.maxBytes`. */
  readonly path: string;
  /** `TIDEGATE_STREAM_MAX_BYTES`. */
  readonly variable: string;
  readonly schema: TSchema;
}

const variablePrefix = "TIDEGATE_";

export function settingsOf(schema: TObject, prefix = ""): Setting[] {
  return Object.entries(schema.properties).flatMap(([key, property]) => {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    if (isObjectSchema(property)) return settingsOf(property, path);
    return [{ path, variable: variableOf(path), schema: property }];
  });
}

function isObjectSchema(schema: TSchema): schema is TObject {
  return schema["type"] === "object" && typeof schema["properties"] === "object";
}

export function variableOf(path: string): string {
  const words = path.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").replaceAll(/[.-]/g, "_");
  return variablePrefix + words.toUpperCase();
}

/** What people are told of a setting, by `config print` and by docs/reference/settings.md. */
export interface SettingDescription {
  readonly description: string;
  /** Type and range, in words. */
  readonly kind: string;
  readonly unit: string | null;
  /** undefined = it has none, or one that depends on others and stands in the description. */
  readonly fallback: unknown;
}

export function describeSetting({ schema }: Pick<Setting, "schema">): SettingDescription {
  return {
    description: String(schema["description"] ?? ""),
    kind: typeof schema["expected"] === "string" ? schema["expected"] : kindText(schema),
    unit: typeof schema["unit"] === "string" ? schema["unit"] : null,
    fallback: schema["default"],
  };
}

/** What a value must look like, in words. */
export function expectedText(schema: TSchema): string {
  const { kind, unit } = describeSetting({ schema });
  return unit === null ? kind : `${kind} (${unit})`;
}

function kindText(schema: TSchema): string {
  const choices = choicesOf(schema);
  if (choices.length > 0) return `one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`;
  switch (schema["type"]) {
    case "integer":
      return `a whole number${rangeText(schema)}`;
    case "number":
      return `a number${rangeText(schema)}`;
    case "boolean":
      return "true or false";
    case "array":
      return "a list (comma-separated in the environment)";
    case "object":
      return "a JSON object";
    case "string":
      return `a text${lengthText(schema)}`;
    default:
      return Array.isArray(schema["anyOf"])
        ? (schema["anyOf"] as TSchema[]).map((part) => kindText(part)).join(" or ")
        : String(schema["type"] ?? schema["const"] ?? "another value");
  }
}

function rangeText(schema: TSchema): string {
  const minimum = schema["minimum"] as number | undefined;
  const maximum = schema["maximum"] as number | undefined;
  const above = schema["exclusiveMinimum"] as number | undefined;
  if (above !== undefined) return ` above ${above}${maximum === undefined ? "" : `, at most ${maximum}`}`;
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return ` of at least ${minimum}`;
  return maximum === undefined ? "" : ` of at most ${maximum}`;
}

function lengthText(schema: TSchema): string {
  const [shortest = 0, longest] = [schema["minLength"], schema["maxLength"]] as (number | undefined)[];
  if (longest !== undefined) return ` of ${shortest} to ${longest} characters`;
  return shortest === 0 ? "" : ` of at least ${shortest} characters`;
}

/** The values that a schema which lists them allows; [] = it lists none. */
export function choicesOf(schema: TSchema): unknown[] {
  const parts = Array.isArray(schema["anyOf"]) ? (schema["anyOf"] as TSchema[]) : [schema];
  return parts.every((part) => "const" in part) ? parts.map((part) => part["const"]) : [];
}

/** A text of the environment or the command line as the type that the schema asks for; unchanged where it can't be. */
export function valueFromText(schema: TSchema, text: string): unknown {
  const parts = Array.isArray(schema["anyOf"]) ? (schema["anyOf"] as TSchema[]) : [schema];
  const types = parts.map((part) => part["type"] ?? typeof part["const"]);
  if ((types.includes("integer") || types.includes("number")) && /^-?\d+(\.\d+)?$/.test(text))
    return Number(text);
  if (types.includes("boolean") && (text === "true" || text === "false")) return text === "true";
  if (types.includes("null") && text === "null") return null;
  if (types.includes("array"))
    return text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "");
  return text;
}
