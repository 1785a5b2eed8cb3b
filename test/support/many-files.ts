import { join } from "node:path";
import { openDuckdb, quoteText } from "../../bridge/lake/parquet/duckdb.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";

export function checkpointColumnsOf(count: number): { name: string; type: string }[] {
  return Array.from({ length: count }, (_, index) => ({ name: `column_${index}`, type: "long" }));
}

/** Writes a checkpoint with so many files, and statistics of so many columns. */
export async function writeManyFiles(
  store: ObjectStore,
  path: string,
  { files, columns }: { readonly files: number; readonly columns: number },
): Promise<void> {
  const about = (member: string) => {
    const pieces = checkpointColumnsOf(columns).map(({ name }) => `concat('"${name}":', i)`);
    return `'"${member}":{' || concat_ws(',', ${pieces.join(", ")}) || '}'`;
  };
  const members = ["minValues", "maxValues", "nullCount"].map(about).join(" || ',' || ");
  const add =
    "{path: 'event_date=2026-11-22/event_hour=10/' || uuid() || '.parquet', " +
    "partitionValues: MAP {'event_date': '2026-11-22', 'event_hour': '10'}, size: 1000::BIGINT, " +
    `modificationTime: 1::BIGINT, dataChange: false, stats: '{"numRecords":10,' || ${members} || '}'}`;
  const spillFolder = join(store.stagingFolder, "spill-many-files");
  const duckdb = await openDuckdb({ memoryLimitBytes: 1024 ** 3, spillFolder, threads: 1 });
  const local = join(store.stagingFolder, "many-files.parquet");
  try {
    await duckdb.connection.run(
      `COPY (SELECT ${add} AS "add" FROM range(${files}) t(i)) TO ${quoteText(local)} (FORMAT parquet, ROW_GROUP_SIZE 2048)`,
    );
    await store.importFile(local, path);
  } finally {
    await duckdb.close();
  }
}
