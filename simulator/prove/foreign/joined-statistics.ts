import type { LiveFile } from "./foreign-log.ts";

type Bounds = Readonly<Record<string, unknown>>;

interface Statistics {
  readonly numRecords: number;
  readonly minValues?: Bounds;
  readonly maxValues?: Bounds;
  readonly nullCount?: Readonly<Record<string, number>>;
}

/**
 * Statistics of a file with the rows of all of these files; null if one of them has none. A column has
 * statistics only if each file has them.
 */
export function joinedStatistics(files: readonly Pick<LiveFile, "stats">[]): string | null {
  const parts: Statistics[] = [];
  for (const { stats } of files) {
    if (stats === undefined) return null;
    parts.push(JSON.parse(stats) as Statistics);
  }
  const joined: Statistics = {
    numRecords: parts.reduce((sum, { numRecords }) => sum + numRecords, 0),
    minValues: joinedBounds(parts, "minValues", (one, other) => compare(one, other) <= 0),
    maxValues: joinedBounds(parts, "maxValues", (one, other) => compare(one, other) >= 0),
    nullCount: Object.fromEntries(
      knownByAll(parts.map(({ nullCount }) => nullCount ?? {})).map((name) => [
        name,
        parts.reduce((sum, { nullCount }) => sum + (nullCount?.[name] ?? 0), 0),
      ]),
    ),
  };
  return JSON.stringify(joined);
}

/** A file with nulls only has no bounds, and takes none away. */
function joinedBounds(
  parts: readonly Statistics[],
  side: "minValues" | "maxValues",
  isFurther: (one: unknown, other: unknown) => boolean,
): Bounds {
  const filled = (name: string) =>
    parts.filter(({ numRecords, nullCount }) => nullCount?.[name] !== numRecords);
  const names = new Set(parts.flatMap((part) => Object.keys(part[side] ?? {})));
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const values = filled(name).map((part) => part[side]?.[name]);
      if (values.length === 0 || values.some((value) => value === undefined || value === null)) return [];
      return [[name, values.reduce((one, other) => (isFurther(one, other) ? one : other))]];
    }),
  );
}

function knownByAll(records: readonly Readonly<Record<string, number>>[]): string[] {
  return Object.keys(records[0] ?? {}).filter((name) => records.every((record) => name in record));
}

/** Texts as engines compare them, by their bytes. */
function compare(one: unknown, other: unknown): number {
  if (typeof one === "string" && typeof other === "string")
    return Buffer.compare(Buffer.from(one), Buffer.from(other));
  return Number(one) - Number(other);
}
