import type { DefinedColumn } from "./topic-definitions.ts";

/** A number keeps its digits, because a double does not hold each long. */
const element =
  /\s*(?:"(?:[^"\\]|\\.)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)\s*(?=[,\]])/y;

/**
 * Reads `_values` of a landing file: the values of the columns of the row's topic version, in order, as a
 * table file would have them. null = each value is null. Throws the fault.
 */
export function parseValues(text: unknown, columns: readonly DefinedColumn[]): readonly unknown[] {
  if (text === null || text === undefined) return columns.map(() => null);
  if (typeof text !== "string") throw new Error("_values is no text");
  const tokens = tokensOf(text);
  if (tokens.length !== columns.length)
    throw new Error(`_values has ${tokens.length} values, and its version ${columns.length} columns`);
  return columns.map(({ type }, at) => asFiled(tokens[at] as string, type));
}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  if (!text.startsWith("[")) throw new Error("_values is not a JSON array");
  let at = 1;
  while (text[at] !== undefined) {
    element.lastIndex = at;
    const [token] = element.exec(text) ?? [];
    if (token === undefined) break;
    tokens.push(token.trim());
    at = element.lastIndex;
    if (text[at] === "]" && at === text.length - 1) return tokens;
    at++;
  }
  throw new Error("_values is not a JSON array of texts, numbers, booleans and nulls");
}

/** Longs are bigints; times are numbers while those are exact. */
function asFiled(token: string, type: string): unknown {
  const isWhole = /^-?\d+$/.test(token);
  if (isWhole && type === "long") return BigInt(token);
  if (isWhole && type === "timestamp")
    return Number.isSafeInteger(Number(token)) ? Number(token) : BigInt(token);
  return JSON.parse(token) as unknown;
}
