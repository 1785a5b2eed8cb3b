import type { TopicVersion } from "../consumer/topic-catalog.ts";
import type { TableAdds } from "./commit-log.ts";
import type { ColumnValue, QuarantineFacts, Row } from "./row.ts";

/** A row with its topic, to be tried out. */
export interface ProbedRow {
  readonly topic: TopicVersion;
  readonly row: Row;
  readonly values: readonly ColumnValue[];
}

/**
 * PORT: one batch of rows becoming Parquet files. Used by one caller at a time.
 * Memory is bounded by the writer (rows go to the database engine in chunks, which may spill to disk).
 */
export interface BatchWriter {
  /** `values` are the typed columns in the order of `topic.columns`. The row's bytes must stay as they are until `write` or `discard`. */
  add(topic: TopicVersion, row: Row, values: readonly ColumnValue[]): void | Promise<void>;
  quarantine(row: Row, facts: QuarantineFacts): void | Promise<void>;
  /** Estimated uncompressed bytes since the last write or discard. */
  readonly bytes: number;
  readonly rows: number;
  /** Sorted files under unique names, durable, by table key (topic id or QUARANTINE). Empties the batch. */
  write(): Promise<ReadonlyMap<string, TableAdds>>;
  /** Rejects if these rows can't be written. Beside the batch, of which nothing changes; no file is left in the store. */
  probe(rows: readonly ProbedRow[]): Promise<void>;
  /** Forgets the rows; files already written become orphans for vacuum. */
  discard(): Promise<void>;
}
