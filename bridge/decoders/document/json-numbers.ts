/**
 * The text of a JSON document's numbers. JSON.parse makes each number a double and forgets its digits (Node
 * 20 passes no source text to a reviver). A double is enough for most columns. Whole numbers beyond 2^53 and
 * times with a fraction need the text as sent.
 */

/** Decimals with fewer digits all become different doubles (IEEE 754 binary64). */
const longNumberLength = 16;
/**
 * The largest double has 309 digits. A number with more than 400 is beyond every limit that a schema can
 * name.
 */
const integerDigitsMax = 400;

const quote = 0x22;
const plus = 0x2b;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
const nine = 0x39;
const backslash = 0x5c;
const upperE = 0x45;
const lowerE = 0x65;

function isDigit(code: number): boolean {
  return code >= zero && code <= nine;
}

function isDigitOrPoint(code: number): boolean {
  return isDigit(code) || code === point;
}

function isInNumber(code: number): boolean {
  return isDigitOrPoint(code) || code === minus || code === plus || code === lowerE || code === upperE;
}

/**
 * True if the document may hold a number with more digits than a double keeps. Tests only every 16th
 * character, because each run of 16 digits covers one of them. Digits in a string count, too.
 */
export function hasLongNumber(text: string): boolean {
  for (let at = longNumberLength - 1; at < text.length; at += longNumberLength) {
    if (!isDigitOrPoint(text.charCodeAt(at))) continue;
    let start = at;
    let end = at + 1;
    while (start > 0 && isDigitOrPoint(text.charCodeAt(start - 1))) start--;
    while (isDigitOrPoint(text.charCodeAt(end))) end++;
    if (end - start >= longNumberLength) return true;
  }
  return false;
}

/** True if the document may hold a number such as 1e-400. */
export function hasNegativeExponent(text: string): boolean {
  for (const mark of ["e-", "E-"])
    for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + 1))
      if (isDigit(text.charCodeAt(at - 1))) return true;
  return false;
}

/** The document's value with each number as the text that was sent. `text` must be valid JSON. */
export function parseWithNumbersAsText(text: string): unknown {
  let rewritten = "";
  let taken = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at);
    else if (!isDigit(code) && code !== minus) at++;
    else {
      let end = at + 1;
      while (isInNumber(text.charCodeAt(end))) end++;
      rewritten += `${text.slice(taken, at)}"${text.slice(at, end)}"`;
      taken = end;
      at = end;
    }
  }
  return JSON.parse(rewritten + text.slice(taken));
}

/**
 * The offset after the string that begins at `start`. A quote ends the string if an even number of
 * backslashes precedes it.
 */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === backslash) before--;
    if ((end - before) % 2 === 0) return end + 1;
  }
  return text.length;
}

interface Scaled {
  /** Rounded down. */
  readonly value: bigint;
  /** False if digits were cut. */
  readonly isExact: boolean;
}

/** A JSON number times 10^`power`; null if the product has more than 400 digits before the point. */
function scaled(text: string, power: number): Scaled | null {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits === "") return { value: 0n, isExact: true };
  const shift = Number(exponent) + power - fraction.length;
  if (digits.length + shift > integerDigitsMax) return null;
  if (shift >= 0) return { value: BigInt(sign + digits + "0".repeat(shift)), isExact: true };
  const kept = Math.max(0, digits.length + shift);
  const isExact = /^0*$/.test(digits.slice(kept));
  const size = BigInt(digits.slice(0, kept));
  return { value: sign === "" ? size : isExact ? -size : -size - 1n, isExact };
}

/** The exact value of a whole JSON number; null if it is not whole or has more than 400 digits. */
export function wholeNumberOf(text: string): bigint | null {
  const number = scaled(text, 0);
  return number?.isExact ? number.value : null;
}

/** A JSON number in ms as whole µs, rounded down; null beyond 10^400. */
export function microsecondsOfMs(text: string): bigint | null {
  return scaled(text, 3)?.value ?? null;
}

/**
 * True if `value` is a whole multiple of `of`, which is above 0. Compares the shortest decimals: 0.3 is a
 * multiple of 0.1.
 */
export function isMultiple(value: number | bigint, of: number): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(of)) return Number(value) % of === 0;
  if (typeof value === "number" && !Number.isFinite(value)) return false;
  const [left, right] = [decimalOf(String(value)), decimalOf(String(of))];
  const power = Math.min(left.power, right.power);
  const whole = (decimal: Decimal) => decimal.digits * 10n ** BigInt(decimal.power - power);
  return whole(left) % whole(right) === 0n;
}

interface Decimal {
  readonly digits: bigint;
  /** Power of 10. */
  readonly power: number;
}

/** @param text As ECMAScript writes a finite number. */
function decimalOf(text: string): Decimal {
  const [mantissa = "", exponent = "0"] = text.split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  return { digits: BigInt(whole + fraction), power: Number(exponent) - fraction.length };
}
