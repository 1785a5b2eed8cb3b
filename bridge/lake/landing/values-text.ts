import type { ColumnValue } from "../../topics/column-value.ts";

/**
 * The typed values of a row as a JSON array in the order of its version's columns; null = there are none. The
 * text is exact: longs in full, -0, U+0000. A lone surrogate becomes U+FFFD, as in a Parquet string.
 */
export function valuesText(values: readonly ColumnValue[]): string | null {
  // A loop costs half of `map` and `join`, and this runs for each message.
  let text = "";
  let hasValue = false;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as ColumnValue;
    hasValue ||= value !== null;
    text += at === 0 ? valueText(value) : `,${valueText(value)}`;
  }
  return hasValue ? `[${text}]` : null;
}

function valueText(value: ColumnValue): string {
  switch (typeof value) {
    case "bigint":
      return String(value);
    case "number":
      return Object.is(value, -0) ? "-0.0" : String(value);
    case "string":
      return JSON.stringify(value.toWellFormed());
    default:
      return String(value);
  }
}
