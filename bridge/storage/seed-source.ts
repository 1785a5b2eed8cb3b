import type { Position } from "../streams/stream-log.ts";

/** The columns of filed and quarantined rows from which window ids are made again. */
export interface SeedRows {
  readonly length: number;
  /** Topic id that the rows count for (for quarantine rows: the topic they were meant for). */
  readonly topicId: string;
  readonly deviceIds: readonly string[];
  readonly messageIds: readonly Uint8Array[];
  /** CRC-32 of the payload, unsigned. */
  readonly payloadHashes: Uint32Array;
  readonly ingestTimesMs: Float64Array;
  readonly positions: readonly Position[];
  /** True where the row is quarantined as `id-reused`: its key also covers the payload hash. */
  readonly idReused: readonly boolean[];
}

/** PORT: rows with an id that the lake holds for one partition of one stream. Reads committed files only. */
export interface SeedSource {
  /**
   * Rows with ingest time ≥ `sinceMs`, and of `wholeTopics` those of any time whose id has the length of the SDK's, of files in commit entries ≤ `upToCommit`,
   * in chunks of bounded size, in no order. Rows of older files are found in the tables, as those show them.
   */
  rows(query: {
    streamId: string;
    partition: number;
    sinceMs: number;
    upToCommit: number;
    wholeTopics?: ReadonlySet<string>;
  }): AsyncIterable<SeedRows>;
}

/** PORT: makes committed files visible in their tables. */
export interface TablePublisher {
  /** Writes one Delta entry for each table that lags behind the commit log. Idempotent, safe to race. Resolves with how many. */
  publishPending(): Promise<{ published: number }>;
}
