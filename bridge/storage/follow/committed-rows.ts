import type { ColumnValue, QuarantineFacts, Row } from "../row.ts";
import type { TableColumn } from "../table-columns.ts";
import type { FollowPosition } from "./follow-position.ts";

/** The table that rows of one commit stand in. */
export interface FollowedTable {
  /** Topic id, or QUARANTINE. */
  readonly key: string;
  /** Its folder: the topic's name, or `_quarantine`. */
  readonly name: string;
  /** Highest topic version filed in it up to this commit; 0 for the quarantine. */
  readonly version: number;
  /** Its typed columns in this commit's files. */
  readonly columns: readonly TableColumn[];
}

/** A row as it was filed, with its place in the stream (`streamId`, `partition`, `position`, `index`), which no other row has. */
export interface CommittedRow extends Row {
  readonly table: FollowedTable;
  /** Of `table.columns`, in their order. */
  readonly values: readonly ColumnValue[];
  /** Why the row is in quarantine; null = it is in its topic's table. */
  readonly quarantine: QuarantineFacts | null;
}

/** Consecutive rows of one commit. */
export interface CommittedChunk {
  readonly commit: number;
  readonly committedAtMs: number;
  /** Of all tables, in the order of the stream: of a partition by position and index. Empty if the commit brought none. */
  readonly rows: readonly CommittedRow[];
  /** Where the chunk begins. */
  readonly from: FollowPosition;
  /** What the follower keeps once these rows are done. */
  readonly next: FollowPosition;
}

/**
 * PORT: the committed stream, row by row: each message that was acknowledged and is no duplicate, once, judged, in the order in which it
 * stood in its partition. So the rows of a device are in the order of the device, over all topics.
 *
 * - A row is handed over again only if the follower asks for a position before it. A follower that keeps `next` together with what it made
 *   of the rows therefore has each row exactly once; one that keeps it later has the last chunk again after a crash. If two processes may
 *   follow for one destination, it moves its position by compare: from `from` to `next`, or not at all.
 * - The follower pulls: nothing is read ahead of the chunk that it asked for, and a chunk has at most some thousand rows or some MB. To break
 *   off the iteration frees everything.
 * - Rows of a position are the same in each process and at each time. Files that another writer replaced stay readable until that writer
 *   deletes them; from then on the rows are read from what its table shows, if all of them are there. Otherwise FOLLOWER_ROWS_GONE says how
 *   many are left.
 * - Retention is that of `CommittedEntries`: FOLLOWER_TOO_FAR_BEHIND, before any row is skipped.
 * - Publishing the Delta tables is a follower too, by entries, and the consumer waits for it after each commit. To look up old ids of exact
 *   topics, the tables must show what is committed, and the log holds entries for tables that lag. Other followers run beside the consumer,
 *   and see a commit whether tables show it or not.
 */
export interface CommittedRows {
  /** The first position that can be read. */
  earliest(): Promise<FollowPosition>;
  /** Behind the newest commit. */
  latest(): Promise<FollowPosition>;
  /** From there to the newest commit; then it ends. */
  read(from: FollowPosition): AsyncIterable<CommittedChunk>;
  /** The same, and then each commit as it comes, until `signal` is aborted. */
  follow(from: FollowPosition, signal: AbortSignal): AsyncIterable<CommittedChunk>;
}
