import { baseColumns, partitionColumns, quarantineColumns } from "../storage/table-columns.ts";
import { invalidSchema, PayloadSchema } from "./payload-schema.ts";
import { runWithin } from "./run-within.ts";
import type { ColumnType, TypedColumn } from "./topic-catalog.ts";

/** The supervisor does nothing else meanwhile. A schema with 500 columns takes 0.2 s. */
const COMPILE_MAX_MS = 3000;

/** Columns that every table has; typed ones may not be named like them in any case. */
const fixedColumns = new Set(
  [...baseColumns, ...quarantineColumns, ...partitionColumns].map(({ name }) => name),
);
/** Delta: column names without these, as the table has no column mapping. */
const forbiddenInNames = /[ ,;{}()\n\t=]/;

/**
 * The typed columns of a topic's JSON Schema: each top-level property that is one scalar, or one scalar or null.
 * @throws BridgeError TOPIC_SCHEMA_INVALID where the schema does not compile, or a name can't be a column.
 */
export function typedColumnsOf(schema: Readonly<Record<string, unknown>>): TypedColumn[] {
  if (!runWithin(COMPILE_MAX_MS, () => new PayloadSchema(schema)))
    throw invalidSchema(`to compile it takes more than ${COMPILE_MAX_MS} ms`);
  const properties = schema["properties"];
  if (typeof properties !== "object" || properties === null) return [];
  const columns = Object.entries(properties).flatMap(([name, property]): TypedColumn[] => {
    const type = columnTypeOf(property);
    return type ? [{ name, type }] : [];
  });
  checkNames(columns);
  return columns;
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
  const seen = new Set<string>();
  for (const { name } of columns) {
    const folded = name.toLowerCase();
    if (fixedColumns.has(folded)) throw invalidSchema(`the field ${name} has the name of a fixed column`);
    if (seen.has(folded)) throw invalidSchema(`the field ${name} differs from another one only in case`);
    if (name === "" || forbiddenInNames.test(name))
      throw invalidSchema(
        `the field "${name}" can't be a column: no blanks, commas, semicolons, braces or =`,
      );
    seen.add(folded);
  }
}
