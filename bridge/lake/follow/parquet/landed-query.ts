import { quoteText } from "../../parquet/duckdb.ts";
import { baseSelection, streamOrder } from "./row-query.ts";

/** SELECT of the topic versions that have rows in a landing file. `location`: of the file on this disk. */
export function versionsQuery(location: string): string {
  return `SELECT DISTINCT topic_id, topic_version::INTEGER FROM ${source(location)} WHERE reason IS NULL`;
}

/**
 * SELECT of all rows of a landing file in stream order: the columns that `decodeLanded` reads. The values are
 * the text of the file, because a column for each column of each table would make rows of many tables wide.
 *
 * @param casts SQL for values that are not in the text as the table has them.
 */
export function landedQuery(location: string, casts: readonly string[]): string {
  const columns = [
    ...baseSelection,
    ...["reason", "detail", "topic_id", "topic_version::INTEGER", "_values"],
    ...casts,
  ];
  return `SELECT ${columns.join(", ")} FROM ${source(location)} r ${streamOrder}`;
}

function source(location: string): string {
  return `read_parquet(${quoteText(location)}, hive_partitioning = false)`;
}
