import { type ContentFault, contentFault } from "../quarantine-reason.ts";
import { isNestedDeeper } from "./json-depth.ts";
import { hasLongNumber, hasNegativeExponent, parseWithNumbersAsText } from "./json-numbers.ts";

const byteOrderMark = "\uFEFF";

/**
 * Levels of arrays and objects. 128 is the default limit of serde_json, and so of delta-rs and many others.
 */
export const jsonLevelsMax = 128;

/** A JSON payload. */
export class JsonDocument {
  readonly value: unknown;
  readonly #text: string;
  #hasLongNumbers: boolean | undefined;
  #hasSmallNumbers: boolean | undefined;
  #withNumbersAsText: { readonly value: unknown } | undefined;

  /** @throws SyntaxError */
  constructor(text: string) {
    this.#text = text;
    this.value = JSON.parse(text);
  }

  /**
   * True if numbers in `value` may differ from the numbers sent. Never true for numbers of up to 15 digits.
   */
  get hasLongNumbers(): boolean {
    this.#hasLongNumbers ??= hasLongNumber(this.#text);
    return this.#hasLongNumbers;
  }

  /** True if a number other than 0 may have become 0 in `value`. */
  get hasSmallNumbers(): boolean {
    this.#hasSmallNumbers ??= hasNegativeExponent(this.#text);
    return this.#hasSmallNumbers;
  }

  /**
   * True if the document is nested deeper than `JSON_LEVELS_MAX`. Check this before recursing over `value`.
   */
  get isTooDeep(): boolean {
    return isNestedDeeper(this.#text, jsonLevelsMax);
  }

  /**
   * The text of the number at `path`, as sent. Parses the document a second time, so only a few numbers use
   * this.
   */
  numberText(path: readonly string[]): string {
    this.#withNumbersAsText ??= { value: parseWithNumbersAsText(this.#text) };
    return String(valueAt(this.#withNumbersAsText.value, path));
  }
}

/** The JSON document, or why the payload is none. A leading byte order mark is ignored [RFC 8259 §8.1]. */
export function parseJson(payload: Uint8Array): JsonDocument | ContentFault {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const text = bytes.toString("utf8");
  // Bytes that are not UTF-8 become replacement characters, but a valid text may hold them as well.
  if (text.includes("\uFFFD") && !bytes.equals(Buffer.from(text, "utf8")))
    return contentFault("payload-undecodable", "the payload is not UTF-8");
  try {
    return new JsonDocument(text.startsWith(byteOrderMark) ? text.slice(byteOrderMark.length) : text);
  } catch (error) {
    const why = error instanceof Error ? error.message : "syntax error";
    return contentFault("payload-undecodable", `the payload is not JSON: ${why}`);
  }
}

/** The value at a path, own properties only; undefined if there is none. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}
