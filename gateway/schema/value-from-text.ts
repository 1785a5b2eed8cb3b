import type { TSchema } from "@sinclair/typebox";

/** Converts a text of the environment or the command line to the type of the schema, if that is possible. */
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
