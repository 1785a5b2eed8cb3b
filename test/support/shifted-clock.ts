import { join } from "node:path";

/** The environment of a process, and of those that it starts, whose wall clock begins at this moment. */
export function clockStartingAt(startsAtMs: number): Record<string, string> {
  return {
    NODE_OPTIONS: `--import ${join(import.meta.dirname, "shifted-clock.mjs")}`,
    CLOCK_SHIFT_MS: String(startsAtMs - Date.now()),
  };
}
