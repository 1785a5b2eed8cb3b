import type { ObjectStore } from "../stores/object-store.ts";

/** One moment by two clocks. */
export interface ClockPair {
  /** By the clock that stamps objects, ms since the epoch. */
  readonly storeMs: number;
  /** Monotonic, ms. */
  readonly elapsedMs: number;
}

export async function readClocks(
  store: Pick<ObjectStore, "now">,
  elapsedMs: () => number,
): Promise<ClockPair> {
  const storeMs = await store.now();
  return { storeMs, elapsedMs: elapsedMs() };
}

/** Whether so much time passed by both clocks. */
export function hasPassed(ms: number, since: ClockPair, now: ClockPair): boolean {
  return now.storeMs - since.storeMs >= ms && now.elapsedMs - since.elapsedMs >= ms;
}

/** `since`, so that a store's clock that was set back to `now` counts from there. */
export function notAfter(since: ClockPair, now: ClockPair): ClockPair {
  return now.storeMs < since.storeMs ? { ...since, storeMs: now.storeMs } : since;
}
