import type { DecodedArray } from "hyparquet";

/** A value that has an order. Times are µs since the epoch. Numbers that a double cannot hold are bigints. */
export type Ordered = number | bigint | string | boolean;

/** The range and null count of a column's values. */
export interface ValueRange {
  nulls: number;
  /** undefined: all are null, or bytes. */
  min: Ordered | undefined;
  max: Ordered | undefined;
}

const beyondBmpOrder = /[\ud800-\uffff]/;

/**
 * Texts are compared by code points, as Parquet and Delta compare their UTF-8. JavaScript compares UTF-16
 * units.
 */
export function isBefore(left: Ordered, right: Ordered): boolean {
  if (typeof left !== "string" || typeof right !== "string") return left < right;
  if (!beyondBmpOrder.test(left) || !beyondBmpOrder.test(right)) return left < right;
  return Buffer.compare(Buffer.from(left), Buffer.from(right)) < 0;
}

export function rangeOf(values: DecodedArray): ValueRange {
  const range: ValueRange = { nulls: 0, min: undefined, max: undefined };
  let last: unknown;
  for (const value of values as ArrayLike<unknown> & Iterable<unknown>) {
    if (value === undefined || value === null) range.nulls++;
    // Values of a dictionary repeat as the same object.
    else if (value !== last && !(value instanceof Uint8Array)) {
      last = value;
      include(range, value as Ordered);
    }
  }
  return range;
}

function include(range: ValueRange, value: Ordered): void {
  if (range.min === undefined || isBefore(value, range.min)) range.min = value;
  if (range.max === undefined || isBefore(range.max, value)) range.max = value;
}

/** The range of both. */
export function joinRanges(left: ValueRange, right: ValueRange): ValueRange {
  const joined = { ...left, nulls: left.nulls + right.nulls };
  if (right.min !== undefined) include(joined, right.min);
  if (right.max !== undefined) include(joined, right.max);
  return joined;
}
