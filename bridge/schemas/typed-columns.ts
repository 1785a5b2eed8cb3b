import { columnNameFault, foldedName } from "../topics/column-names.ts";
import type { ColumnType, TypedColumn } from "../topics/topic-catalog.ts";
import { invalidSchema, PayloadSchema } from "./payload-schema.ts";
import { runWithin } from "./run-within.ts";
import { schemaShapeFault } from "./schema-shape.ts";

/** Compiling blocks the supervisor. A schema with 500 columns takes 0.2 s. */
const compileMaxMs = 3000;

/** Characters of a name that a message shows. */
const shownMax = 64;

/**
 * The typed columns of a topic's JSON Schema: each top-level property that is one scalar, or one scalar or
 * null.
 * @throws BridgeError TOPIC_SCHEMA_INVALID if the schema does not compile, or a name can't be a column.
 */
export function typedColumnsOf(schema: Readonly<Record<string, unknown>>): TypedColumn[] {
  const fault = schemaShapeFault(schema);
  if (fault !== null) throw invalidSchema(fault);
  const columns = columnsOf(schema["properties"]);
  checkNames(columns);
  if (!runWithin(compileMaxMs, () => new PayloadSchema(schema)))
    throw invalidSchema(`to compile it takes more than ${compileMaxMs} ms`);
  return columns;
}

function columnsOf(properties: unknown): TypedColumn[] {
  if (typeof properties !== "object" || properties === null) return [];
  return Object.entries(properties).flatMap(([name, property]): TypedColumn[] => {
    const type = columnTypeOf(property);
    return type ? [{ name, type }] : [];
  });
}

function columnTypeOf(property: unknown): ColumnType | null {
  if (typeof property !== "object" || property === null) return null;
  const { type, format } = property as { type?: unknown; format?: unknown };
  const types = (Array.isArray(type) ? type : [type]).filter((name) => name !== "null");
  if (types.length !== 1) return null;
  switch (types[0]) {
    case "boolean":
      return "boolean";
    case "integer":
      return "long";
    case "number":
      return "double";
    case "string":
      return format === "date-time" ? "timestamp" : "string";
    default:
      return null;
  }
}

function checkNames(columns: readonly TypedColumn[]): void {
  const seen = new Map<string, string>();
  for (const { name } of columns) {
    const fault = columnNameFault(name);
    if (fault !== null) throw invalidSchema(`the property ${shown(name)} under /properties ${fault}`);
    const folded = foldedName(name);
    const twin = seen.get(folded);
    if (twin !== undefined)
      throw invalidSchema(
        `the properties ${shown(twin)} and ${shown(name)} under /properties differ only in case, and engines take them for one column: rename one`,
      );
    seen.set(folded, name);
  }
}

/** Escaped, so that invisible characters are shown. */
function shown(name: string): string {
  const text = name.length > shownMax ? `${name.slice(0, shownMax)}…` : name;
  return JSON.stringify(text).replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}
