import { RE2JS } from "re2js";

/**
 * RE2 instructions of one pattern: the most that a character of a text may cost. `^.{1,1000}$` has about
 * 2,000.
 */
const programMax = 10_000;

/** Content of the class `\s` in ECMA-262 (§22.2.2.9 CharacterClassEscape). RE2's own has only ASCII. */
const spaces =
  "\\x09-\\x0d\\x20\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}";
const notSpaces =
  "\\x00-\\x08\\x0e-\\x1f\\x21-\\x9f\\xa1-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}" +
  "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}";
const notLineEnds = "[^\\n\\r\\x{2028}\\x{2029}]";
/** Two escaped surrogates are one character (ECMA-262, flag u). */
const surrogatePair = /^\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})/;

/**
 * A pattern of JSON Schema (ECMA-262 with flag u) that RE2 runs. RE2 never backtracks: the time is
 * proportional to the text's length.
 */
export class LinearPattern {
  readonly #source: string;
  #compiled: RE2JS;

  /** @throws SyntaxError, also for look-ahead and back-references, which RE2 does not support. */
  constructor(source: string) {
    // Throws if the pattern is not valid in ECMA-262.
    new RegExp(source, "u");
    this.#source = source;
    this.#compiled = compileLinear(source);
  }

  test(text: string): boolean {
    return this.#compiled.test(text);
  }

  /** Compiles the pattern again, because an interrupted match may leave its caches half filled. */
  reset(): void {
    this.#compiled = compileLinear(this.#source);
  }

  /** The source of the pattern. Ajv tells patterns apart by this text. */
  toString(): string {
    return this.#source;
  }
}

function compileLinear(source: string): RE2JS {
  try {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(withMeaningOf(source)), RE2JS.LOOKBEHINDS);
    if (compiled.programSize() > programMax) throw new RangeError("its repetitions are too many");
    return compiled;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const text = `the pattern ${source.slice(0, 200)} can't be matched in linear time (${why}): look-ahead, back-references and more than 1000 repetitions are not allowed`;
    throw new SyntaxError(text, { cause });
  }
}

/** The same pattern, with all parts spelled out that RE2 reads differently. */
function withMeaningOf(source: string): string {
  let translated = "";
  let isInClass = false;
  for (let at = 0; at < source.length; ) {
    const { text, length } = nextOf(source, at, isInClass);
    if (length === 1) isInClass = text === "[" || (isInClass && text !== "]");
    translated += text;
    at += length;
  }
  return translated;
}

function nextOf(source: string, at: number, isInClass: boolean): { text: string; length: number } {
  const char = source.charAt(at);
  if (char === "." && !isInClass) return { text: notLineEnds, length: 1 };
  if (char !== "\\") return { text: char, length: 1 };
  const pair = surrogatePair.exec(source.slice(at, at + 12));
  if (pair) {
    const [, high = "", low = ""] = pair;
    const character = String.fromCharCode(Number.parseInt(high, 16), Number.parseInt(low, 16));
    return { text: `\\u{${character.codePointAt(0)?.toString(16)}}`, length: 12 };
  }
  return { text: escapeOf(source.slice(at, at + 2), isInClass), length: 2 };
}

function escapeOf(letter: string, isInClass: boolean): string {
  switch (letter) {
    case "\\s":
      return isInClass ? spaces : `[${spaces}]`;
    case "\\S":
      return isInClass ? notSpaces : `[${notSpaces}]`;
    case "\\b":
      return isInClass ? "\\x08" : letter;
    case "\\k":
      throw new SyntaxError("a back-reference by name");
    default:
      return letter;
  }
}
