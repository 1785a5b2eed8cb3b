export interface BackoffLimits {
  /** Upper end of the first delay, ms. */
  readonly baseMs: number;
  /** Upper end of every later delay, ms. */
  readonly maxMs: number;
}

/** More doublings change nothing for any sensible base. The bound keeps the product finite. */
const doublingsMax = 32;

/**
 * Delay before the next attempt, in whole ms: uniform in [0, min(maxMs, baseMs × 2^attempt)] ("full jitter").
 * The jitter spreads the reconnects of a fleet that lost its gateway at one moment.
 * @param attempt Failed attempts so far, not counting the one that just failed: 0 for the first delay.
 * @param random Uniform in [0, 1), e.g. `Math.random`.
 */
export function fullJitterDelayMs(attempt: number, limits: BackoffLimits, random: () => number): number {
  const ceilingMs = Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(attempt, doublingsMax));
  return Math.floor(random() * (ceilingMs + 1));
}
