// What needs DuckDB: to be had from `loadParquet` only.
export { createParquetBatchWriter } from "./batch-writer.ts";
export { runQuery } from "./run-query.ts";
