import { Ajv, type ValidateFunction } from "ajv";
import { BridgeError } from "../errors.ts";
import type { ColumnValue } from "../storage/batch-writer.ts";
import { baseColumns, partitionColumns, quarantineColumns } from "../storage/table-columns.ts";
import { readInstant, valueAt } from "./json-message.ts";
import type { ColumnType, TypedColumn } from "./topic-catalog.ts";

/** Columns that every table has; typed ones may not be named like them in any case. */
const fixedColumns = new Set(
  [...baseColumns, ...quarantineColumns, ...partitionColumns].map(({ name }) => name),
);
/** Delta: column names without these, as the table has no column mapping. */
const forbiddenInNames = /[ ,;{}()\n\t=]/;

/** Compiles a topic's JSON Schema. @throws BridgeError TOPIC_SCHEMA_INVALID. */
export function compileSchema(schema: Readonly<Record<string, unknown>>): ValidateFunction {
  // Formats are annotations here but for date-time, which makes a typed column. One instance each: `$id`s may repeat across versions.
  const ajv = new Ajv({
    strict: false,
    logger: false,
    formats: { "date-time": (text: string) => readInstant(text) !== null },
  });
  // Its verdict would be a promise.
  if (schema["$async"] !== undefined) throw invalidSchema("$async is not allowed");
  try {
    return ajv.compile(schema);
  } catch (cause) {
    throw invalidSchema(cause instanceof Error ? cause.message : "it does not compile", cause);
  }
}

/**
 * The typed columns of a topic's JSON Schema: each top-level property that is one scalar, or one scalar or null.
 * @throws BridgeError TOPIC_SCHEMA_INVALID where the schema does not compile, or a name can't be a column.
 */
export function typedColumnsOf(schema: Readonly<Record<string, unknown>>): TypedColumn[] {
  compileSchema(schema);
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

function invalidSchema(why: string, cause?: unknown): BridgeError {
  return new BridgeError("TOPIC_SCHEMA_INVALID", `the topic's JSON Schema can't be used: ${why}`, {
    retryable: false,
    cause,
  });
}

/** Values of the columns, in their order; null where a field is missing. A text says which value does not fit. */
export function readColumns(value: unknown, columns: readonly TypedColumn[]): ColumnValue[] | string {
  const values: ColumnValue[] = [];
  for (const { name, type } of columns) {
    const field = valueAt(value, [name]);
    const read = field === undefined || field === null ? null : readScalar(field, type);
    if (read === undefined) return `${name} does not fit a column of type ${type}`;
    values.push(read);
  }
  return values;
}

/** undefined where it does not fit. */
function readScalar(field: unknown, type: ColumnType): ColumnValue | undefined {
  switch (type) {
    case "boolean":
      return typeof field === "boolean" ? field : undefined;
    case "long":
      return Number.isSafeInteger(field) ? (field as number) : undefined;
    case "double":
      return typeof field === "number" ? field : undefined;
    case "string":
      return typeof field === "string" ? field : undefined;
    case "timestamp":
      return readInstant(field) ?? undefined;
    default:
      return type satisfies never;
  }
}
