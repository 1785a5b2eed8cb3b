import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { writeCheckpointFile } from "../../../../../bridge/lake/delta/checkpoints/checkpoint-writer.ts";
import { openDuckdb, quoteText } from "../../../../../bridge/lake/parquet/duckdb.ts";
import { openLocalStore } from "../../../../../bridge/lake/stores/local/local-store.ts";
import { checkpointColumnsOf, writeManyFiles } from "../../../../support/many-files.ts";

const previous = "t/_delta_log/00000000000000000001.checkpoint.parquet";
const next = "t/_delta_log/00000000000000000002.checkpoint.parquet";

test("memory bounds a checkpoint's row groups, whatever the number of files: with many columns, they have fewer files", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-checkpoint-"));
  try {
    for (const [files, columns, groupMax] of [
      [20_000, 13, 6144],
      [5_000, 60, 2048],
    ] as const) {
      const store = await openLocalStore(join(folder, String(columns)));
      await writeManyFiles(store, previous, { files, columns });
      const written = await writeCheckpointFile(store, next, {
        previous: [previous],
        changedPaths: [],
        actions: [],
        columns: checkpointColumnsOf(columns),
        tombstonesSinceMs: 0,
      });
      assert.equal(written.addFiles, files);
      const spillFolder = join(folder, "spill");
      const duckdb = await openDuckdb({ memoryLimitBytes: 256 * 1024 ** 2, spillFolder, threads: 1 });
      const path = join(folder, String(columns), next);
      const groups = await duckdb.connection.runAndReadAll(
        `SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata(${quoteText(path)})`,
      );
      await duckdb.close();
      for (const [, rows] of groups.getRows()) assert.ok(Number(rows) <= groupMax, `${rows} rows`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
