type Bound = "minValues" | "maxValues";

const patterns = new Map<string, RegExp>();

/**
 * A bound of a time column in a file's Delta statistics; undefined if they do not say. A search, because
 * JSON.parse costs more, and seeding asks for each file of a table.
 */
export function statisticsTime(
  stats: string | null | undefined,
  bound: Bound,
  column: "event_time" | "ingest_time" | "_stream_time",
): string | undefined {
  const key = `${bound}.${column}`;
  const pattern = patterns.get(key) ?? new RegExp(`"${bound}":\\{[^}]*"${column}":"([^"]+)"`);
  patterns.set(key, pattern);
  return pattern.exec(stats ?? "")?.[1];
}
