// Measures time and memory of a checkpoint of a table with many files whose statistics must be completed.
// Environment: FILES (default 1,000,000) and COLUMNS.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeCheckpointFile } from "../../bridge/lake/delta/checkpoints/checkpoint-writer.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { checkpointColumnsOf, writeManyFiles } from "../support/many-files.ts";

const previous = "t/_delta_log/00000000000000000001.checkpoint.parquet";
const next = "t/_delta_log/00000000000000000002.checkpoint.parquet";
const files = Number(process.env["FILES"] ?? 1_000_000);
const columns = Number(process.env["COLUMNS"] ?? 13);
const prepared = process.env["CHECKPOINT_FOLDER"];

/** Runs in a process of its own, so that its memory does not count. */
async function prepare(folder: string): Promise<void> {
  await writeManyFiles(await openLocalStore(folder), previous, { files, columns });
}

function peakMib(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

async function measure(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-checkpoint-"));
  try {
    const env = { ...process.env, CHECKPOINT_FOLDER: folder };
    const run = spawnSync(process.execPath, [...process.execArgv, import.meta.filename], {
      env,
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (run.status !== 0) throw new Error("the first checkpoint could not be prepared");
    const store = await openLocalStore(folder);
    const beforeMib = peakMib();
    const startMs = performance.now();
    const written = await writeCheckpointFile(store, next, {
      previous: [previous],
      changedPaths: [],
      actions: [{ protocol: { minReaderVersion: 1, minWriterVersion: 2 } }],
      columns: checkpointColumnsOf(columns),
      tombstonesSinceMs: 0,
    });
    const seconds = Math.round(performance.now() - startMs) / 1000;
    console.log(JSON.stringify({ files, columns, ...written, seconds, beforeMib, peakMib: peakMib() }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await (prepared === undefined ? measure() : prepare(prepared));
