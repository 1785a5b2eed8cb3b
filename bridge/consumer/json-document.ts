import { isNestedDeeper } from "./json-depth.ts";
import { hasLongNumber, hasNegativeExponent, parseWithNumbersAsText } from "./json-numbers.ts";
import { type ContentFault, contentFault } from "./quarantine-reason.ts";

const byteOrderMark = "\uFEFF";

/** Levels of arrays and objects. 128 is what serde_json reads by default, and with it delta-rs and many others. */
export const JSON_LEVELS_MAX = 128;

/** A payload that is JSON. */
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

  /** True if numbers in `value` may not be the ones that were sent. Never true for up to 15 digits. */
  get hasLongNumbers(): boolean {
    this.#hasLongNumbers ??= hasLongNumber(this.#text);
    return this.#hasLongNumbers;
  }

  /** True if a number other than 0 may have become 0. */
  get hasSmallNumbers(): boolean {
    this.#hasSmallNumbers ??= hasNegativeExponent(this.#text);
    return this.#hasSmallNumbers;
  }

  /** True if it is nested deeper than `JSON_LEVELS_MAX`. Whatever recurses over `value` needs that bound. */
  get isTooDeep(): boolean {
    return isNestedDeeper(this.#text, JSON_LEVELS_MAX);
  }

  /** What was sent for the number at `path`. Reads the document again: for the few numbers that need it. */
  numberText(path: readonly string[]): string {
    this.#withNumbersAsText ??= { value: parseWithNumbersAsText(this.#text) };
    return String(valueAt(this.#withNumbersAsText.value, path));
  }
}

/** The JSON document, or why there is none. A byte order mark before it is passed over [RFC 8259 §8.1]. */
export function parseJson(payload: Uint8Array): JsonDocument | ContentFault {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const text = bytes.toString("utf8");
  // Only text with a replacement character can come from bytes that are not UTF-8.
  if (text.includes("\uFFFD") && !bytes.equals(Buffer.from(text, "utf8")))
    return contentFault("payload-undecodable", "the payload is not UTF-8");
  try {
    return new JsonDocument(text.startsWith(byteOrderMark) ? text.slice(byteOrderMark.length) : text);
  } catch (error) {
    const why = error instanceof Error ? error.message : "syntax error";
    return contentFault("payload-undecodable", `the payload is not JSON: ${why}`);
  }
}

/** What stands at a path, own properties only; undefined where nothing does. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}
