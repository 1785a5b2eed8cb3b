import type { Ajv, KeywordDefinition } from "ajv";
import { canonicalText } from "./canonical-text.ts";

/**
 * Replaces ajv's keywords that compare values by versions in linear time. Ajv's own compare each item of an
 * array with all others. They also call `valueOf` and `toString` of a document's objects, which a device
 * controls.
 */
export function withEqualityKeywords(ajv: Ajv): Ajv {
  const definitions: readonly KeywordDefinition[] = [
    {
      keyword: "uniqueItems",
      type: "array",
      schemaType: "boolean",
      error: { message: "must NOT have duplicate items" },
      compile: (isUnique: boolean) => (items: readonly unknown[]) => !isUnique || areUnique(items),
    },
    {
      keyword: "enum",
      schemaType: "array",
      error: { message: "must be equal to one of the allowed values" },
      compile: (values: readonly unknown[]) => isOneOf(values),
    },
    {
      keyword: "const",
      error: { message: "must be equal to constant" },
      compile: (value: unknown) => isOneOf([value]),
    },
  ];
  for (const definition of definitions)
    ajv.removeKeyword(definition.keyword as string).addKeyword(definition);
  return ajv;
}

function areUnique(items: readonly unknown[]): boolean {
  const seen = new Set<string>();
  for (const item of items) {
    const text = canonicalText(item);
    if (seen.has(text)) return false;
    seen.add(text);
  }
  return true;
}

function isOneOf(values: readonly unknown[]): (value: unknown) => boolean {
  const scalars = new Set(values.filter(isScalar));
  const others = new Set(values.filter((value) => !isScalar(value)).map(canonicalText));
  return (value) =>
    isScalar(value) ? scalars.has(value) : others.size > 0 && others.has(canonicalText(value));
}

function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}
