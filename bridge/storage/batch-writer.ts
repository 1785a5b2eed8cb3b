import type { TopicVersion } from "../consumer/topic-catalog.ts";
import type { TableAdds } from "./commit-log.ts";

/** Value of a typed column: long, and timestamp in µs since the epoch, as a bigint where a number is not exact. */
export type ColumnValue = boolean | number | bigint | string | null;

/** One row on its way into a table. */
export interface Row {
  readonly deviceId: string;
  readonly topicName: string;
  /** null for raw topics and for quarantined messages without a readable id. */
  readonly messageId: Uint8Array | null;
  readonly eventTimeMs: number;
  /** µs after eventTimeMs: 0 to 999. */
  readonly eventTimeMicros: number;
  readonly eventTimeOutside: boolean;
  /** Wall clock when the message was packed for the stream. */
  readonly ingestTimeMs: number;
  /** Stream time: the row's id is remembered for a window from then on. */
  readonly streamTimeMs: number;
  readonly payload: Uint8Array;
  /** CRC-32, signed 32-bit (Delta has no unsigned types). */
  readonly payloadCrc: number;
  readonly streamId: string;
  readonly partition: number;
  readonly position: string;
  /** Index of the message in its block. */
  readonly index: number;
}

export interface QuarantineFacts {
  readonly reason: string;
  readonly detail: string;
  readonly topicId: string;
  readonly topicVersion: number;
}

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
