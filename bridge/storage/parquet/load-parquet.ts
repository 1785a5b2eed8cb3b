/**
 * DuckDB, which reads and writes our Parquet files, takes a third of a CPU second and 30 MB to load. So it is loaded by the first caller,
 * not by every process that uses the bridge.
 */
export function loadParquet(): Promise<typeof import("./parquet.ts")> {
  return import("./parquet.ts");
}
