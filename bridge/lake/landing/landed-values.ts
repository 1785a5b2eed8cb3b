import type { ColumnValue } from "../../topics/column-value.ts";
import type { TypedColumn } from "../../topics/topic-catalog.ts";

const quote = 0x22;
const backslash = 0x5c;

/** The values that `valuesText` wrote for these columns. Throws a SyntaxError if the text is no JSON array. */
export function landedValues(text: string | null, columns: readonly TypedColumn[]): ColumnValue[] {
  if (text === null) return columns.map(() => null);
  const values = JSON.parse(text) as readonly ColumnValue[];
  let texts: readonly string[] | undefined;
  return columns.map(({ type }, at) => {
    const value = values[at] ?? null;
    if (typeof value !== "number" || type === "double") return value;
    // JSON.parse rounds whole numbers beyond 2^53. `+ 0`: a whole number has no -0.
    if (Number.isSafeInteger(value)) return value + 0;
    texts ??= textsOf(text);
    return BigInt(texts[at] ?? value);
  });
}

/** The text of each item. */
function textsOf(array: string): string[] {
  const texts: string[] = [];
  let start = 1;
  let isInString = false;
  for (let at = start; at < array.length; at++) {
    const code = array.charCodeAt(at);
    if (isInString && code === backslash) at++;
    else if (code === quote) isInString = !isInString;
    else if (!isInString && (array[at] === "," || at === array.length - 1)) {
      texts.push(array.slice(start, at));
      start = at + 1;
    }
  }
  return texts;
}
