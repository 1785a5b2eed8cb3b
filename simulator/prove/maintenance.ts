import { readFile } from "node:fs/promises";
import type { LakeAccess } from "./lake-access.ts";

/** The housekeeping of the lake that happened in a proof. */
export interface Maintenance {
  /** The newest entry of the commit log. */
  readonly commits: number;
  /** Entries that were deleted because a snapshot replaces them. */
  readonly prunedCommits: number;
  /** Of all tables. */
  readonly checkpoints: number;
  /** Entries of tables' logs that were deleted because a checkpoint replaces them. */
  readonly cleanedEntries: number;
  /** Times that files which no commit took were looked for, and how many were deleted. */
  readonly vacuums: number;
  readonly vacuumedFiles: number;
}

const entryPattern = /\/(\d{20})\.json$/;
const checkpointPattern = /\/\d{20}\.checkpoint\./;

export async function maintenanceOf({
  lake,
  tables,
  logFiles,
}: {
  readonly lake: LakeAccess;
  readonly tables: readonly string[];
  /** Of the gateways. */
  readonly logFiles: readonly string[];
}): Promise<Maintenance> {
  const commits = numbersIn(await lake.list("_commits/0"));
  let checkpoints = 0;
  let cleanedEntries = 0;
  for (const table of tables) {
    const log = await lake.list(`${table}/_delta_log/`);
    checkpoints += log.filter((path) => checkpointPattern.test(path)).length;
    cleanedEntries += numbersIn(log)[0] ?? 0;
  }
  const vacuums = (await Promise.all(logFiles.map(vacuumsIn))).flat();
  // Commits are numbered from 1, versions of a table from 0.
  return {
    commits: commits.at(-1) ?? 0,
    prunedCommits: Math.max(0, (commits[0] ?? 1) - 1),
    checkpoints,
    cleanedEntries,
    vacuums: vacuums.length,
    vacuumedFiles: vacuums.reduce((sum, { orphans }) => sum + orphans, 0),
  };
}

async function vacuumsIn(logFile: string): Promise<{ orphans: number }[]> {
  const lines = (await readFile(logFile, "utf8")).split("\n");
  // A line that a kill has torn says nothing.
  return lines
    .filter((line) => line.includes('"event":"vacuum.done"') && line.endsWith("}"))
    .map((line) => JSON.parse(line) as { orphans: number });
}

function numbersIn(paths: readonly string[]): number[] {
  return paths.flatMap((path) => entryPattern.exec(path)?.[1] ?? []).map(Number);
}

/** Commits after which each busy table has had its checkpoints. */
const checkpointedAfter = 100;

/**
 * Housekeeping that did not happen although the proof was long enough for it.
 *
 * @param retentionMs After which entries may be deleted: the longest of the retentions and the dedupe window.
 */
export function missedMaintenance(
  { commits, prunedCommits, checkpoints, cleanedEntries, vacuums }: Maintenance,
  { durationMs, retentionMs }: { readonly durationMs: number; readonly retentionMs: number },
): string[] {
  const isLong = durationMs > 2 * retentionMs && commits > checkpointedAfter;
  return [
    ...(commits > checkpointedAfter && checkpoints === 0 ? ["no checkpoint was written"] : []),
    ...(isLong && prunedCommits === 0 ? ["no entry of the commit log was pruned"] : []),
    ...(durationMs > 2 * retentionMs && vacuums === 0 ? ["vacuum never ran"] : []),
    ...(isLong && cleanedEntries === 0 ? ["no entry of a table's log was cleaned up"] : []),
  ];
}
