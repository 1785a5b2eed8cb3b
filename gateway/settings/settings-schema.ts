import type { TObject, TSchema } from "@sinclair/typebox";
import { kindText, unitOf } from "../schema/schema-words.ts";

/** One setting of the schema, which nests sections as objects. */
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

/** A setting as `config print` and docs/reference/settings.md describe it. */
export interface SettingDescription {
  readonly description: string;
  /** Type and range, in words. */
  readonly kind: string;
  readonly unit: string | null;
  /** undefined = there is no default, or it depends on other settings and is given in the description. */
  readonly fallback: unknown;
}

export function describeSetting({ schema }: Pick<Setting, "schema">): SettingDescription {
  return {
    description: String(schema["description"] ?? ""),
    kind: kindText(schema),
    unit: unitOf(schema),
    fallback: schema["default"],
  };
}
