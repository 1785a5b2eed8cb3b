import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBValue,
} from "@duckdb/node-api";

/** A cell of a query result as a JSON value. */
export type ResultValue =
  | null
  | boolean
  | number
  | string
  | readonly ResultValue[]
  | { readonly [name: string]: ResultValue };

/** A double represents every decimal with up to 15 digits. */
const exactDecimalDigits = 15;

const utf8 = new TextDecoder("utf-8", { fatal: true });
// biome-ignore lint/suspicious/noControlCharactersInRegex: they tell bytes from text
const controlCharacter = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** The bytes as text if they are printable UTF-8, otherwise `\x` and hex digits. */
function bytesText(bytes: Uint8Array): string {
  try {
    const text = utf8.decode(bytes);
    if (!controlCharacter.test(text)) return text;
  } catch {
    // Not UTF-8: hex digits follow below.
  }
  return `\\x${Buffer.from(bytes).toString("hex")}`;
}

function isoTime(micros: bigint): string {
  // Division truncates towards 0, and times before 1970 are negative.
  const rest = ((micros % 1000n) + 1000n) % 1000n;
  const time = new Date(Number((micros - rest) / 1000n));
  if (Number.isNaN(time.getTime())) return String(micros);
  const iso = time.toISOString();
  return rest === 0n ? iso : iso.replace("Z", `${String(rest).padStart(3, "0")}Z`);
}

/**
 * The cell as JSON value. Integers and decimals that a double cannot represent become text, times ISO 8601;
 * for bytes see `bytesText`.
 */
export function resultValue(value: DuckDBValue): ResultValue {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (value instanceof DuckDBDecimalValue)
    return value.width <= exactDecimalDigits ? Number(String(value)) : String(value);
  if (value instanceof DuckDBBlobValue) return bytesText(value.bytes);
  if (value instanceof DuckDBTimestampTZValue) return isoTime(value.micros);
  if (value instanceof DuckDBTimestampValue) return isoTime(value.micros).replace("Z", "");
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue)
    return value.items.map(resultValue);
  if (value instanceof DuckDBStructValue)
    return Object.fromEntries(Object.entries(value.entries).map(([name, item]) => [name, resultValue(item)]));
  if (value instanceof DuckDBMapValue)
    return Object.fromEntries(value.entries.map((entry) => [String(entry.key), resultValue(entry.value)]));
  return String(value);
}
