import { hasLongNumber, hasNegativeExponent, parseWithNumbersAsText } from "../../bridge/config.ts";
import type { InputFault } from "./input-faults.ts";

/**
 * Faults for numbers of a JSON text that have more digits than a double can hold. JSON.parse would round
 * them, and a limit would then differ from the written one.
 */
export function lostNumbers(text: string): InputFault[] {
  if (!hasLongNumber(text) && !hasNegativeExponent(text)) return [];
  const faults: InputFault[] = [];
  // No recursion, because the depth of the text is not bounded yet.
  const left: Place[] = [{ where: "", value: JSON.parse(text), written: parseWithNumbersAsText(text) }];
  for (let place = left.pop(); place; place = left.pop()) {
    const { where, value, written } = place;
    if (typeof value === "number") faults.push(...lost(where, String(written), value));
    else if (typeof value === "object" && value !== null) left.push(...membersOf(place).reverse());
  }
  return faults.slice(0, faultsMax);
}

interface Place {
  readonly where: string;
  readonly value: unknown;
  /** The same value with each number as its text. */
  readonly written: unknown;
}

const faultsMax = 10;

function membersOf({ where, value, written }: Place): Place[] {
  return Object.entries(value as object).map(([name, member]) => ({
    where: Array.isArray(value) ? `${where}[${name}]` : where === "" ? name : `${where}.${name}`,
    value: member,
    written: (written as Record<string, unknown>)[name],
  }));
}

function lost(where: string, written: string, value: number): InputFault[] {
  // Values such as 1e400 are refused later.
  if (!Number.isFinite(value) || isSame(written, value)) return [];
  const mend = `this number has too many digits: give ${shortest(value)}, or a number of at most 15 digits`;
  return [{ where, kind: "wrong", value: written, mend }];
}

/** Writes whole numbers exactly: 9223372036854775808, not 9223372036854776000. */
function shortest(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? BigInt(value).toString() : String(value);
}

/** True if the text is the shortest decimal of the double, or its exact value. */
function isSame(written: string, value: number): boolean {
  const number = normalized(written);
  return number === normalized(String(value)) || number === normalized(shortest(value));
}

/** One text for all spellings of a number: digits without zeros at either end, and the power of ten. */
function normalized(text: string): string {
  const [, sign, whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return "0";
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}
