import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Longest wait of a test for a state. What a test waits for comes in a moment, and much later on a machine that is slow or busy; so the
 * bound is far off and ends only what would never come.
 */
export const longestWaitMs = 180_000;
const pollMs = 10;

/** Resolves once the condition holds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + longestWaitMs; performance.now() < endMs; await delay(pollMs))
    if (await condition()) return;
  assert.fail(`waited in vain until ${what}`);
}
