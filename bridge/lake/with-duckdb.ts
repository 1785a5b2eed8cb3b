// Everything that needs DuckDB; import it by `loadParquet` only.
export { createParquetBatchWriter } from "./parquet/batch-writer.ts";
export { runQuery } from "./query/run-query.ts";
