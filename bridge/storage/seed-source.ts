import type { Position } from "../streams/stream-log.ts";
import type { PastPartitions } from "./commit-log.ts";

/** The columns of filed and quarantined rows from which window ids are made again. */
export interface SeedRows {
  readonly length: number;
  /** Which of the query's parts each row is of: its index there; one above the last for a row of `pastPartitions`. */
  readonly parts: Uint32Array;
  /** Topic id that the rows count for (for quarantine rows: the topic they were meant for). */
  readonly topicId: string;
  readonly deviceIds: readonly string[];
  readonly messageIds: readonly Uint8Array[];
  /** `contentHash` of each row. */
  readonly contentHashes: Uint32Array;
  readonly streamTimesMs: Float64Array;
  readonly positions: readonly Position[];
  /** The rows stand in `_quarantine`, so their keys also cover the content hash. */
  readonly isQuarantined: boolean;
  /** True where the row is quarantined as `id-reused` or `exact-unsure`: the exact mode does not count it. */
  readonly idReused: readonly boolean[];
}

/** Rows that one partition of one stream has brought. */
export interface SeedPart {
  readonly streamId: string;
  readonly partition: number;
  /** Rows with this stream time and later. */
  readonly sinceMs: number;
}

export interface SeedQuery {
  /** Each partition once at most. */
  readonly parts: readonly SeedPart[];
  /** Of files in commit entries up to this one. */
  readonly upToCommit: number;
  /** Of these topics also older rows whose id has the length of the SDK's, and those of `pastPartitions`. */
  readonly wholeTopics?: ReadonlySet<string>;
  /** By stream id, runs of partitions that are among no parts. */
  readonly pastPartitions?: ReadonlyMap<string, PastPartitions["ranges"]>;
  /** Told how many of the files were read, from 0 on. */
  readonly onFiles?: (read: number, total: number) => void;
}

/** Ids of one topic that may have been filed, and where their messages would stand. */
export interface FiledQuery {
  readonly topicId: string;
  /** Each the event time of a message, ms; all of the same hour. */
  readonly eventTimesMs: readonly number[];
  readonly messageIds: readonly Uint8Array[];
  readonly deviceIds: readonly string[];
  /** Asked before anything is read, with the size of the files that may hold them. */
  readonly mayRead: (bytes: number) => boolean;
}

/** PORT: rows with an id that the lake holds. Reads committed files only, and each of them once, however many parts are asked for. */
export interface SeedSource {
  /** In chunks of bounded size, in no order. Rows of files that the commit log has forgotten are found in the tables, as those show them. */
  rows(query: SeedQuery): AsyncIterable<SeedRows>;
  /**
   * What the topic's table and `_quarantine` show of these ids with these event times, whatever partition it came by (`parts` says
   * nothing). Rows whose event time was flagged as outside stand elsewhere and are not found; nor are some of very many for one id.
   * null = not looked for, since `mayRead` said no.
   */
  filed(query: FiledQuery): Promise<readonly SeedRows[] | null>;
}

/** A table that does not show what is committed, and waits until it may. Everything else goes on. */
export interface ParkedTable {
  readonly table: string;
  readonly code: string;
  /** For people: why, and what to do. */
  readonly reason: string;
  readonly wayOut: string;
  /** Since when this process knows, ms since the epoch. */
  readonly sinceMs: number;
  /** Entries that the commit log holds for it, others' among them. */
  readonly heldCommits: number;
}

/** A table whose log could not be summed up. Its rows are shown all the same, but readers read more and more entries. */
export interface UnkemptTable {
  readonly table: string;
  readonly reason: string;
  /** ms since the epoch. */
  readonly sinceMs: number;
}

/** What is wrong with tables, as one process knows it. */
export interface TableTroubles {
  readonly parked: readonly ParkedTable[];
  readonly unkempt: readonly UnkemptTable[];
}

/** PORT: makes committed files visible in their tables. */
export interface TablePublisher {
  /**
   * Writes Delta entries for the tables that lag behind the commit log, and resolves with how many. Idempotent, safe to race. A table that
   * can't be published is parked: it is tried again by later calls, once `isRetryDue`, and the commit log is kept for it.
   */
  publishPending(): Promise<{ published: number }>;
  isRetryDue(): boolean;
  troubles(): TableTroubles;
}
