import { parse } from "smol-toml";

/** Longer files are not searched, because the time grows with the square of the number of lines. */
const linesMax = 1_000;

/**
 * The line of a key in a TOML text, counted from 1; null = the key is missing. The parser reports no
 * positions. So this parses the first lines, one more each time, until the key appears.
 */
export function tomlLineOf(text: string, path: string): number | null {
  const lines = text.split("\n");
  if (lines.length > linesMax) return null;
  let lacking = 0;
  for (let count = 1; count <= lines.length; count++) {
    const tree = parsed(lines.slice(0, count).join("\n"));
    if (tree === null) continue;
    if (has(tree, path.split("."))) return lacking + 1;
    lacking = count;
  }
  return null;
}

/** null = the text ends inside a value. */
function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

function has(tree: unknown, keys: readonly string[]): boolean {
  const [key, ...rest] = keys;
  if (key === undefined) return true;
  if (typeof tree !== "object" || tree === null || !Object.hasOwn(tree, key)) return false;
  return has((tree as Record<string, unknown>)[key], rest);
}
