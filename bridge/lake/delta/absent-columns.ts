import type { MetaDataAction } from "./delta-actions.ts";
import { schemaFields } from "./delta-schema.ts";

/**
 * The table's columns except partitions and structures. Statistics refer to a column by its name, whatever
 * characters it has.
 */
export function plainColumns(table: string, metaData: MetaDataAction): { name: string; type: string }[] {
  const partitions = new Set(metaData.partitionColumns);
  return schemaFields(table, metaData).flatMap(({ name, type }) =>
    typeof type === "string" && !partitions.has(name) ? [{ name, type }] : [],
  );
}

/**
 * The statistics of a file of ours, with a null count for each column of the table that the file lacks.
 * delta-rs treats a column without a null count as one without nulls. Extends the text instead of serialising
 * it again, because longs have more digits than a double.
 */
export function withAbsentColumns(stats: string, rows: number, columns: readonly { name: string }[]): string {
  const { nullCount } = JSON.parse(stats) as { nullCount?: Readonly<Record<string, unknown>> };
  if (nullCount === undefined) return stats;
  const absent = columns.filter(({ name }) => !Object.hasOwn(nullCount, name));
  const counts = absent.map(({ name }) => `${JSON.stringify(name)}:${rows},`);
  // A file of ours always counts the nulls of the columns that every table has.
  return stats.replace('"nullCount":{', `"nullCount":{${counts.join("")}`);
}
