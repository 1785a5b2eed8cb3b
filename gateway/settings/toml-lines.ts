import { parse } from "smol-toml";

/** Longer files are not searched: the time grows with the square of the lines. */
const linesMax = 1_000;

/**
 * In which line of a TOML text a key stands, the first one counting as 1; null = nowhere. The parser says no places, but what it makes of the
 * first lines of a text shows where something was added.
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
