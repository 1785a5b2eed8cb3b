import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Longest wait of a test for a state. States usually come in a moment, but much later on a slow or busy
 * machine. So the bound is far off, and ends only waits for states that never come.
 */
export const longestWaitMs = 180_000;
const pollMs = 10;

/** Resolves once the condition holds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + longestWaitMs; performance.now() < endMs; await delay(pollMs))
    if (await condition()) return;
  assert.fail(`waited in vain until ${what}`);
}
