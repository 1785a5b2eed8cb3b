import { type TypedColumn, typedColumnsOf } from "../../bridge/index.ts";
import { GatewayError } from "../errors.ts";

/** One Parquet column each; far beyond what a device measures. */
const columnsMax = 500;

/**
 * The typed columns of a topic's JSON Schema, after checks that are the registry's: validation has to be synchronous and about objects.
 * Throws TOPIC_INVALID, or the bridge's TOPIC_SCHEMA_INVALID where it can't be compiled or filed.
 */
export function columnsOfSchema(schema: Readonly<Record<string, unknown>>): TypedColumn[] {
  if (schema["$async"] !== undefined) throw unusable("$async schemas are not allowed");
  if (schema["type"] !== "object")
    throw unusable(
      'it must say "type": "object" at its top: each property of one scalar type becomes a column',
    );
  const columns = typedColumnsOf(schema);
  if (columns.length > columnsMax)
    throw unusable(`it has ${columns.length} columns, more than ${columnsMax}`);
  return columns;
}

function unusable(fault: string): GatewayError {
  return new GatewayError("TOPIC_INVALID", `The topic's JSON Schema can't be used: ${fault}.`, {
    retryable: false,
    details: { where: "schema" },
  });
}

/**
 * Why a table with the `earlier` columns can't go on with the `next` ones; [] where it can. Columns may be added; those that are there
 * stay with their type, since the files that hold them stay.
 */
export function columnConflicts(earlier: readonly TypedColumn[], next: readonly TypedColumn[]): string[] {
  const byName = new Map(next.map((column) => [column.name.toLowerCase(), column]));
  return earlier.flatMap((column) => {
    const found = byName.get(column.name.toLowerCase());
    if (!found)
      return [
        `column ${column.name} (${column.type}) is missing: keep its property, it need not be required`,
      ];
    if (found.name !== column.name) return [`column ${column.name} is now written ${found.name}`];
    if (found.type !== column.type)
      return [`column ${column.name} is ${column.type} in the table and now ${found.type}`];
    return [];
  });
}
