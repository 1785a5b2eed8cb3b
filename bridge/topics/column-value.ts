/**
 * Value of a typed column. A timestamp is in µs since the epoch. A long or timestamp beyond 2^53 is a
 * bigint.
 */
export type ColumnValue = boolean | number | bigint | string | null;
