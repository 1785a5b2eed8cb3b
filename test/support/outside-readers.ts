import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const script = join(import.meta.dirname, "filter-delta.py");

export const outsideReaders = [
  "delta-rs filters",
  "delta-rs dataset",
  "delta-rs SQL",
  "DuckDB",
  "Polars",
] as const;
export type OutsideReader = (typeof outsideReaders)[number];

const packagesOf: Readonly<Record<string, string>> = {
  duckdb: "duckdb==1.5.5 duckdb-extension-delta==1.5.5",
  duckdb_extension_delta: "duckdb==1.5.5 duckdb-extension-delta==1.5.5",
};

/** By reader: why it can't be used here, or false. */
export function outsideReadersMissing(): Readonly<Record<OutsideReader, string | false>> {
  const run = spawnSync("python3", [script, "--missing"], { encoding: "utf8" });
  if (run.error) return every("python3 is not installed");
  if (run.status !== 0) throw new Error(run.stderr);
  const missing = JSON.parse(run.stdout) as Readonly<Record<OutsideReader, string | null>>;
  const why = outsideReaders.map((reader) => {
    const name = missing[reader];
    if (name === null) return [reader, false] as const;
    return [reader, `python3 has no ${name}: python3 -m pip install ${packagesOf[name] ?? name}`] as const;
  });
  return Object.fromEntries(why) as Record<OutsideReader, string | false>;
}

function every(why: string): Record<OutsideReader, string> {
  return Object.fromEntries(outsideReaders.map((reader) => [reader, why])) as Record<OutsideReader, string>;
}

export interface FilteredTable {
  readonly rows: number;
  /** How many filters each reader was asked. */
  readonly filters: number;
  /** Filters whose result differs from a scan of all rows. */
  readonly wrong: Readonly<Record<string, readonly string[]>>;
}

/** Asks readers for rows by each column of a table, by several operators and values, and for nulls. */
export async function filterTable(folder: string, readers: readonly OutsideReader[]): Promise<FilteredTable> {
  const { stdout } = await promisify(execFile)("python3", [script, folder, ...readers], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout) as FilteredTable;
}
