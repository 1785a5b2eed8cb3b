import type { QuarantineFacts, Row } from "../tail/row.ts";
import type { ColumnValue } from "../topics/column-value.ts";
import type { TopicVersion } from "../topics/topic-catalog.ts";
import type { CommitEntry } from "./commit-log/commit-log.ts";

/** A row and its topic, for a trial write. */
export interface ProbedRow {
  readonly topic: TopicVersion;
  readonly row: Row;
  readonly values: readonly ColumnValue[];
}

/** What `write` made, as the commit entry names it. */
export type WrittenBatch = Pick<CommitEntry, "tables" | "landing">;

/**
 * PORT: writes one batch of rows as Parquet files. One caller uses it at a time. The writer bounds its
 * memory: rows go in chunks to the database engine, which may spill to disk.
 */
export interface BatchWriter {
  /**
   * `values` are the typed columns in the order of `topic.columns`. The row's bytes must not change until
   * `write` or `discard`.
   */
  add(topic: TopicVersion, row: Row, values: readonly ColumnValue[]): void | Promise<void>;
  quarantine(row: Row, facts: QuarantineFacts): void | Promise<void>;
  /** Estimated uncompressed bytes since the last write or discard. */
  readonly bytes: number;
  readonly rows: number;
  /**
   * Writes the batch as sorted, durable files under unique names, and empties the batch. Each row is in one
   * file: of its table, or in the landing file.
   */
  write(): Promise<WrittenBatch>;
  /** Rejects if these rows cannot be written. Leaves the batch unchanged and no file in the store. */
  probe(rows: readonly ProbedRow[]): Promise<void>;
  /** Forgets the rows. Files that are written already become orphans for vacuum. */
  discard(): Promise<void>;
}
