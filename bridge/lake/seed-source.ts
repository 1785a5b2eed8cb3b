import type { Position } from "../streams/stream-log.ts";
import type { PastPartitions } from "./commit-log/commit-log.ts";

/** Columns of filed and quarantined rows, from which window ids are rebuilt. */
export interface SeedRows {
  readonly length: number;
  /** For each row the index of its part in the query; the number of parts for rows of `pastPartitions`. */
  readonly parts: Uint32Array;
  /** Topic of the rows; for quarantined rows, the topic that they were meant for. */
  readonly topicId: string;
  readonly deviceIds: readonly string[];
  readonly messageIds: readonly Uint8Array[];
  /** `contentHash` of each row. */
  readonly contentHashes: Uint32Array;
  readonly streamTimesMs: Float64Array;
  readonly positions: readonly Position[];
  /** Whether the rows are in `_quarantine`, where keys also cover the content hash. */
  readonly isQuarantined: boolean;
  /** Whether a row is quarantined as `id-reused` or `exact-unsure`: the exact mode does not count it. */
  readonly idReused: readonly boolean[];
}

/** Rows of one partition of one stream. */
export interface SeedPart {
  readonly streamId: string;
  readonly partition: number;
  /** Stream time of the oldest rows wanted. */
  readonly sinceMs: number;
}

export interface SeedQuery {
  /** Each partition at most once. */
  readonly parts: readonly SeedPart[];
  /** Only files of commit entries up to this one count. */
  readonly upToCommit: number;
  /** For these topics, also older rows with ids of the SDK's length, and rows of `pastPartitions`. */
  readonly wholeTopics?: ReadonlySet<string>;
  /** By stream id, runs of partitions that are in no part. */
  readonly pastPartitions?: ReadonlyMap<string, PastPartitions["ranges"]>;
  /** Called with the number of files read so far, from 0 on. */
  readonly onFiles?: (read: number, total: number) => void;
}

/** Ids of one topic that may have been filed, and where their rows would be. */
export interface FiledQuery {
  readonly topicId: string;
  /** Event time of each message, ms since the epoch; all in the same hour. */
  readonly eventTimesMs: readonly number[];
  readonly messageIds: readonly Uint8Array[];
  readonly deviceIds: readonly string[];
  /** Called before the first read, with the bytes of the files that may hold the rows. */
  readonly mayRead: (bytes: number) => boolean;
}

/**
 * PORT: rows whose ids the lake holds. Reads each committed file at most once, however many parts are asked
 * for.
 */
export interface SeedSource {
  /**
   * Rows in chunks of bounded size, in no order. If the commit log has given up a file's entry, the rows come
   * from what the tables show.
   */
  rows(query: SeedQuery): AsyncIterable<SeedRows>;
  /**
   * Rows with these ids and event times in the topic's table and in `_quarantine`, of any partition (`parts`
   * is meaningless). Does not find rows whose event time was flagged as outside, nor all of very many rows
   * with one id. Null = not read, because `mayRead` returned false.
   */
  filed(query: FiledQuery): Promise<readonly SeedRows[] | null>;
}
