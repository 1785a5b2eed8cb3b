/**
 * DuckDB reads and writes the Parquet files. Loading it takes 0.3 s of CPU time and 30 MB, so only callers
 * that need it load it.
 */
export function loadParquet(): Promise<typeof import("./with-duckdb.ts")> {
  return import("./with-duckdb.ts");
}
