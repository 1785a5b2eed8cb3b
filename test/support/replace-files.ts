import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { decodePath } from "../../bridge/lake/delta/delta-actions.ts";
import { DeltaTable } from "../../bridge/lake/delta/delta-table.ts";
import { openDuckdb, quoteText } from "../../bridge/lake/parquet/duckdb.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import type { TestLake } from "./test-lake.ts";

/**
 * Acts as another writer that compacts a table, or deletes rows, and cleans up at once: all live files
 * become one per event hour.
 */
export async function replaceFiles(
  { store }: TestLake,
  { name }: TopicVersion,
  kept = "true",
): Promise<void> {
  const table = new DeltaTable(store, name);
  await table.refresh();
  const live = await table.files();
  const hours = new Set(live.map(({ partitionValues }) => JSON.stringify(partitionValues)));
  const actions = [];
  for (const hour of hours) {
    const adds = live.filter(({ partitionValues }) => JSON.stringify(partitionValues) === hour);
    const paths = adds.map(({ path }) => `${name}/${decodePath(path)}`);
    const merged = (adds[0]?.path ?? "").replace(/[^/]+$/, `part-${randomUUID()}.parquet`);
    const { bytes } = await mergeFiles(store, { paths, to: `${name}/${merged}`, kept });
    const deletionTimestamp = Date.now();
    for (const { path } of adds) actions.push({ remove: { path, dataChange: false, deletionTimestamp } });
    const partitionValues = JSON.parse(hour) as Record<string, string>;
    const times = { modificationTime: deletionTimestamp, dataChange: false };
    actions.push({ add: { path: merged, partitionValues, size: bytes, stats: "{}", ...times } });
  }
  if ((await table.append(actions)) !== "created") throw new Error("another writer came first");
  for (const { path } of live) await store.delete(`${name}/${decodePath(path)}`);
}

async function mergeFiles(
  store: TestLake["store"],
  files: { readonly paths: readonly string[]; readonly to: string; readonly kept: string },
): Promise<{ bytes: number }> {
  const local = join(store.stagingFolder, `${randomUUID()}.parquet`);
  const spillFolder = join(store.stagingFolder, `spill-${randomUUID()}`);
  const duckdb = await openDuckdb({ memoryLimitBytes: 2 ** 28, threads: 1, spillFolder });
  const copies = await store.localCopies(files.paths);
  try {
    const locations = files.paths.map((path) => quoteText(copies.location(path))).join(", ");
    await duckdb.connection.run(
      `COPY (SELECT * FROM read_parquet([${locations}], hive_partitioning = false) ` +
        `WHERE ${files.kept}) TO ${quoteText(local)} (FORMAT parquet)`,
    );
  } finally {
    await copies.release();
    await duckdb.close();
  }
  return store.importFile(local, files.to);
}
