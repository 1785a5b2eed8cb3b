const dayMs = 86_400_000;
/**
 * Younger files most likely belong to a batch that is not committed yet. Deleting them would be safe, but the
 * batch would be repeated.
 */
export const defaultAgeMs = dayMs;
/** Age of other writers' files, the default of Delta's own vacuum. */
const foreignAgeMs = 7 * dayMs;
/** Our files; other writers' names have more than a UUID. */
const ourName = /\/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.parquet$/;

/** Age at which vacuum takes a file that nothing names. */
export function unnamedAgeMs(path: string, ageMs: number): number {
  return ourName.test(path) ? ageMs : Math.max(ageMs, foreignAgeMs);
}
