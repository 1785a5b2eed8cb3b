import type { MetaDataAction } from "./delta-actions.ts";
import { schemaFields } from "./delta-schema.ts";

/** Columns of the table's files that are no structures. A name is a path in statistics, whatever characters it has. */
export function plainColumns(table: string, metaData: MetaDataAction): { name: string; type: string }[] {
  const partitions = new Set(metaData.partitionColumns);
  return schemaFields(table, metaData).flatMap(({ name, type }) =>
    typeof type === "string" && !partitions.has(name) ? [{ name, type }] : [],
  );
}

/**
 * The statistics of a file of ours, with null counts for those of the table's columns that the file lacks: delta-rs takes a column without
 * a count for one without nulls. The text is extended, not serialised again, since longs have more digits than a double.
 */
export function withAbsentColumns(stats: string, rows: number, columns: readonly { name: string }[]): string {
  const { nullCount } = JSON.parse(stats) as { nullCount?: Readonly<Record<string, unknown>> };
  if (nullCount === undefined) return stats;
  const absent = columns.filter(({ name }) => !Object.hasOwn(nullCount, name));
  const counts = absent.map(({ name }) => `${JSON.stringify(name)}:${rows},`);
  // A file of ours counts the nulls of at least the columns that every table has.
  return stats.replace('"nullCount":{', `"nullCount":{${counts.join("")}`);
}
