import { type JsonDocument, valueAt } from "../decoders/document/json-document.ts";
import { wholeNumberOf } from "../decoders/document/json-numbers.ts";
import { microsecondsOf, readInstant } from "../decoders/instant.ts";
import type { ColumnValue } from "../topics/column-value.ts";
import type { TypedColumn } from "../topics/topic-catalog.ts";

/**
 * Values of the columns, in their order; null for a missing field. A string says which value does not fit.
 */
export function readColumns(document: JsonDocument, columns: readonly TypedColumn[]): ColumnValue[] | string {
  const values: ColumnValue[] = [];
  for (const column of columns) {
    const field = valueAt(document.value, [column.name]);
    const value = field === undefined || field === null ? null : readScalar(document, column, field);
    if (value === undefined) return `${pointerTo(column)} does not fit a column of type ${column.type}`;
    values.push(value);
  }
  return values;
}

/** RFC 6901. */
function pointerTo({ name }: TypedColumn): string {
  return `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** undefined if the column can't hold the value exactly. */
function readScalar(document: JsonDocument, column: TypedColumn, field: unknown): ColumnValue | undefined {
  switch (column.type) {
    case "boolean":
      return typeof field === "boolean" ? field : undefined;
    case "long":
      return typeof field === "number" ? readLong(document, column, field) : undefined;
    case "double":
      // The sum turns -0 into 0, because statistics of Parquet files can't tell them apart.
      return typeof field === "number" && Number.isFinite(field) ? field + 0 : undefined;
    case "string":
      return typeof field === "string" && field.isWellFormed() ? field : undefined;
    case "timestamp":
      return typeof field === "string" ? readTimestamp(field) : undefined;
    default:
      return column.type satisfies never;
  }
}

/** A number; a bigint beyond 2^53; undefined if the value is not whole or beyond 64 bits. */
function readLong(document: JsonDocument, { name }: TypedColumn, field: number): number | bigint | undefined {
  const isSure = field === 0 ? !document.hasSmallNumbers : Number.isSafeInteger(field);
  if (isSure && !document.hasLongNumbers) return field + 0;
  if (Number.isFinite(field) && !Number.isInteger(field)) return undefined;
  const value = wholeNumberOf(document.numberText([name]));
  if (value === null || BigInt.asIntN(64, value) !== value) return undefined;
  return Number.isSafeInteger(field) ? Number(value) : value;
}

function readTimestamp(text: string): number | bigint | undefined {
  const instant = readInstant(text);
  return instant === null ? undefined : microsecondsOf(instant);
}
