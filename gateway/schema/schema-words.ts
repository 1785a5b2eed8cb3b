import type { TSchema } from "@sinclair/typebox";

/** The expected form of a value, in words. */
export function expectedText(schema: TSchema): string {
  const unit = unitOf(schema);
  return unit === null ? kindText(schema) : `${kindText(schema)} (${unit})`;
}

/** The unit of a number, such as `ms`; null = the schema names none. */
export function unitOf(schema: TSchema): string | null {
  return typeof schema["unit"] === "string" ? schema["unit"] : null;
}

/** Type and range in words, or the schema's own words. */
export function kindText(schema: TSchema): string {
  return typeof schema["expected"] === "string" ? schema["expected"] : typeText(schema);
}

function typeText(schema: TSchema): string {
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
        ? (schema["anyOf"] as TSchema[]).map((part) => typeText(part)).join(" or ")
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

/** The values that the schema lists; [] = it lists none. */
export function choicesOf(schema: TSchema): unknown[] {
  const parts = Array.isArray(schema["anyOf"]) ? (schema["anyOf"] as TSchema[]) : [schema];
  return parts.every((part) => "const" in part) ? parts.map((part) => part["const"]) : [];
}
