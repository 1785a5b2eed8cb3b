import { endOfString } from "./json-numbers.ts";

const quote = 0x22;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** True if arrays and objects are nested more than `levels` deep. `text` must be valid JSON. */
export function isNestedDeeper(text: string, levels: number): boolean {
  // Each level takes two characters.
  if (text.length < 2 * (levels + 1)) return false;
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at);
      continue;
    }
    if (code === openBrace || code === openBracket) depth++;
    else if (code === closeBrace || code === closeBracket) depth--;
    if (depth > levels) return true;
    at++;
  }
  return false;
}
