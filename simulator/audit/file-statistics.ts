import { isBefore, type Ordered, type ValueRange } from "./value-range.ts";

/** A table's log about the rows of a file. */
export interface FileStatistics {
  readonly rows: number | undefined;
  readonly nulls: Readonly<Record<string, unknown>>;
  readonly min: Readonly<Record<string, unknown>>;
  readonly max: Readonly<Record<string, unknown>>;
}

/**
 * null if there are none. Whole numbers of 16 digits and more become text, because a double does not hold
 * them; the digits after a decimal point are no whole number.
 */
export function parseStatistics(text: string | null): FileStatistics | null {
  if (text === null) return null;
  const exact = text.replaceAll(/"(?:[^"\\]|\\.)*"|(?<![\d.])-?\d{16,}(?=[\s,}])/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  );
  const said = JSON.parse(exact) as Record<string, unknown>;
  const part = (name: string) => (said[name] ?? {}) as Readonly<Record<string, unknown>>;
  const rows = said["numRecords"];
  return {
    rows: typeof rows === "number" ? rows : undefined,
    nulls: part("nullCount"),
    min: part("minValues"),
    max: part("maxValues"),
  };
}

/** A bound from a log, comparable with values of the column. */
export function readBound(bound: unknown, like: Ordered): Ordered | undefined {
  if (bound === undefined || bound === null) return undefined;
  if (typeof bound !== "string" || typeof like === "string") return bound as Ordered;
  return /^-?\d+$/.test(bound) ? BigInt(bound) : microseconds(bound);
}

/** µs since the epoch of an ISO 8601 time in UTC; NaN for anything else. */
export function microseconds(text: string): number | bigint {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) return Number.NaN;
  const micros = Number((/\.\d{3}(\d{1,3})/.exec(text)?.[1] ?? "0").padEnd(3, "0"));
  const sum = ms * 1000 + micros;
  return Number.isSafeInteger(sum) ? sum : BigInt(ms) * 1000n + BigInt(micros);
}

/**
 * The fault of a lower and an upper bound of values in this range, or null. A missing bound is not a fault.
 */
export function boundFault(
  { min, max }: ValueRange,
  bounds: { readonly min: unknown; readonly max: unknown },
): string | null {
  if (min === undefined || max === undefined) return null;
  const [lower, upper] = [readBound(bounds.min, min), readBound(bounds.max, max)];
  if (lower !== undefined && !holds(lower, min))
    return `${show(min)} is below the lower bound ${show(lower)}`;
  if (upper !== undefined && !holds(max, upper))
    return `${show(max)} is above the upper bound ${show(upper)}`;
  return null;
}

/** False also if the bound is not a value of the column. */
function holds(left: Ordered, right: Ordered): boolean {
  return (
    (typeof left === "string") === (typeof right === "string") && (left === right || !isAfter(left, right))
  );
}

function isAfter(left: Ordered, right: Ordered): boolean {
  return isBefore(right, left) || Number.isNaN(left) || Number.isNaN(right);
}

function show(value: Ordered): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
}
