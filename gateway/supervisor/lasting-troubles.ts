/** A stuck thing, for people. */
export interface Trouble {
  readonly text: string;
  /** ms of a monotonic clock. */
  readonly sinceMs: number;
}

/** Stuck things by fault, without the numbers that change meanwhile, each since it was first seen. */
export class SeenTroubles {
  #troubles: ReadonlyMap<string, Trouble> = new Map();

  /** Replaces what was seen before. The same key is the same fault. */
  look(found: Iterable<readonly [key: string, text: string]>, nowMs: number): void {
    const before = this.#troubles;
    const seen = new Map<string, Trouble>();
    for (const [key, text] of found) seen.set(key, { text, sinceMs: before.get(key)?.sinceMs ?? nowMs });
    this.#troubles = seen;
  }

  get all(): readonly Trouble[] {
    return [...this.#troubles.values()];
  }
}

/** The troubles that have lasted for this time, with their durations. */
export function lastingTexts(troubles: readonly Trouble[], nowMs: number, afterMs: number): string[] {
  return troubles
    .filter(({ sinceMs }) => nowMs - sinceMs >= afterMs)
    .map(({ text, sinceMs }) => `${text} (for ${Math.round((nowMs - sinceMs) / 1_000)} s)`);
}
