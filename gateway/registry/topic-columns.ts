import { typedColumnsOf } from "../../bridge/schemas/index.ts";
import type { TypedColumn } from "../../bridge/topics/index.ts";
import { GatewayError } from "../errors.ts";

/** One Parquet column for each; far more than a device measures. */
const columnsMax = 500;

/**
 * The typed columns of a topic's JSON Schema. Checks that the schema is synchronous and describes an object.
 * Throws TOPIC_INVALID, or the bridge's TOPIC_SCHEMA_INVALID if the schema cannot be compiled or filed.
 */
export function columnsOfSchema(schema: Readonly<Record<string, unknown>>): TypedColumn[] {
  if (schema["$async"] !== undefined) throw unusable("$async schemas are not allowed");
  if (schema["type"] !== "object")
    throw unusable(
      'it must have "type": "object" at the top level: each property of one scalar type becomes a column',
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
 * Why a table with the `earlier` columns cannot have the `next` ones; [] if it can. Columns may be added.
 * Existing columns keep their types, because their files stay.
 */
export function columnConflicts(earlier: readonly TypedColumn[], next: readonly TypedColumn[]): string[] {
  const byName = new Map(next.map((column) => [column.name.toLowerCase(), column]));
  return earlier.flatMap((column) => {
    const found = byName.get(column.name.toLowerCase());
    if (!found)
      return [
        `column ${column.name} (${column.type}) is missing: keep its property, which need not be required`,
      ];
    if (found.name !== column.name) return [`column ${column.name} is now written ${found.name}`];
    if (found.type !== column.type)
      return [`column ${column.name} is ${column.type} in the table and now ${found.type}`];
    return [];
  });
}
