import type { DecodedArray } from "hyparquet";
import type { TypedValues } from "../scenario/typed-values.ts";
import { microseconds } from "./file-statistics.ts";

/** A typed column of a file, with the values of its rows. */
export interface TypedColumn {
  readonly name: string;
  /** `"<name>":`, as a document may have it. */
  readonly key: Buffer;
  readonly values: DecodedArray;
  /** Each version of the topic has this column: a null is wrong if the payload has a value. */
  readonly isInEachVersion: boolean;
}

/** Faults of a row's typed columns. */
export function valueFaults(expected: TypedValues, columns: readonly TypedColumn[], row: number): string[] {
  const faults: string[] = [];
  for (const { name, values, isInEachVersion } of columns) {
    const value = values[row] as unknown;
    const { filed } = expected[name as keyof TypedValues] ?? { filed: null };
    const isNull = value === undefined || value === null;
    const isSame = isNull ? filed === null || !isInEachVersion : isEqual(value, filed);
    if (!isSame) faults.push(`column ${name} is ${String(value)}, not ${String(filed)}`);
  }
  return faults;
}

/** Times are numbers while those are exact. */
function isEqual(value: unknown, filed: unknown): boolean {
  if (Number.isSafeInteger(value) && typeof filed === "bigint") return BigInt(value as number) === filed;
  return Object.is(value, filed);
}

/** Contradictions between a row's typed columns and its payload, which is JSON. */
export function payloadFaults(payload: Uint8Array, columns: readonly TypedColumn[], row: number): string[] {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  // Parsing each document costs half as much as reading its row.
  if (columns.every(({ key, values }) => isPlainly(bytes, key, values[row]))) return [];
  const text = bytes.toString("utf8");
  const document = parseObject(text);
  const faults: string[] = [];
  for (const { name, key, values, isInEachVersion } of columns) {
    const value = values[row] as unknown;
    const field = Object.hasOwn(document, name) ? document[name] : undefined;
    const isNull = value === undefined || value === null;
    const isSame = isNull
      ? !isInEachVersion || field === undefined || field === null
      : isFiledAs(value, field, plainNumber(bytes, key));
    if (!isSame) faults.push(`column ${name} is ${String(value)}, the payload says ${JSON.stringify(field)}`);
  }
  return faults;
}

/** True if the payload names the column once or last, with exactly this number. False means nothing. */
function isPlainly(payload: Buffer, key: Buffer, value: unknown): boolean {
  if (typeof value !== "number") return false;
  const text = plainNumber(payload, key);
  return text !== null && Object.is(Number(text) + 0, value);
}

const [comma, brace] = [0x2c, 0x7d];

/** The text of the number after the last such key; null if there is none, or if the value is not a number. */
function plainNumber(payload: Buffer, key: Buffer): string | null {
  const at = payload.lastIndexOf(key);
  if (at < 0) return null;
  const start = at + key.length;
  let end = start;
  while (isOfNumber(payload[end] as number)) end++;
  return end > start && (payload[end] === comma || payload[end] === brace)
    ? payload.toString("latin1", start, end)
    : null;
}

/** Digits and `+-.eE`. */
function isOfNumber(byte: number): boolean {
  return (byte >= 0x2d && byte <= 0x39 && byte !== 0x2f) || byte === 0x2b || byte === 0x45 || byte === 0x65;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function isFiledAs(value: unknown, field: unknown, digits: string | null): boolean {
  if (typeof field === "string" && typeof value !== "string") return microseconds(field) === value;
  if (typeof field !== "number") return value === field;
  if (typeof value !== "bigint") return Object.is(value, field + 0);
  return Number.isSafeInteger(field) ? value === BigInt(field) : String(value) === digits;
}
