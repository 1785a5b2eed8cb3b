import type { QuarantineFacts, Row } from "../../tail/row.ts";
import type { ColumnValue } from "../../topics/column-value.ts";
import type { TableColumn } from "../../topics/table-columns.ts";
import type { FollowPosition } from "../commit-log/follow-position.ts";

/** The table of rows of one commit. */
export interface FollowedTable {
  /** Topic id, or QUARANTINE. */
  readonly key: string;
  /** The table's folder: the topic's name, or `_quarantine`. */
  readonly name: string;
  /** At least the highest topic version filed in the table up to this commit; 0 for the quarantine. */
  readonly version: number;
  /**
   * The typed columns of the row's file: a landing file has those of all versions of the topic that have rows
   * in it, in the order of a table file.
   */
  readonly columns: readonly TableColumn[];
}

/**
 * A row as it was filed. Its place in the stream (`streamId`, `partition`, `position`, `index`) is unique.
 */
export interface CommittedRow extends Row {
  readonly table: FollowedTable;
  /** Values of `table.columns`, in their order. */
  readonly values: readonly ColumnValue[];
  /** Why the row is in quarantine; null if it is in its topic's table. */
  readonly quarantine: QuarantineFacts | null;
}

/** Consecutive rows of one commit. */
export interface CommittedChunk {
  readonly commit: number;
  readonly committedAtMs: number;
  /**
   * Rows of all tables in stream order: within a partition, by position and index. Empty if the commit has no
   * rows.
   */
  readonly rows: readonly CommittedRow[];
  /** Position of the first row. */
  readonly from: FollowPosition;
  /** Position to keep once these rows are processed. */
  readonly next: FollowPosition;
}

/**
 * PORT: the committed stream, row by row. Each acknowledged message that is not a duplicate comes once,
 * judged, in the order of its partition. So the rows of a device keep the device's order, across all topics.
 *
 * - A row comes again only if the follower asks for an earlier position. So a follower that stores `next`
 *   together with its results gets each row exactly once. A follower that stores `next` later gets the last
 *   chunk again after a crash. If two processes may follow for one destination, they move its position by
 *   compare-and-set from `from` to `next`.
 * - The follower pulls. Nothing is read ahead of the requested chunk, and a chunk has at most 2,048 rows or
 *   about 4 MiB of payloads. Ending the iteration early frees everything.
 * - Rows of a position are the same in each process and at each time. They come from the landing file and the
 *   table files of the commit while these exist: files that another writer replaced stay until that writer
 *   deletes them. Afterwards, the rows come from what the table shows, if all of them are there. Otherwise
 *   FOLLOWER_ROWS_GONE says how many are left.
 * - Retention is that of `CommittedEntries`: FOLLOWER_TOO_FAR_BEHIND, before any row is skipped.
 * - The publisher of the Delta tables is a follower, too, but one that reads entries. The consumer waits for
 *   it after each commit. Look-ups of old ids of exact topics need up-to-date tables, and the log keeps
 *   entries for tables that lag. Other followers run beside the consumer, and see a commit whether or not
 *   tables show it.
 */
export interface CommittedRows {
  /** The first position that can be read. */
  earliest(): Promise<FollowPosition>;
  /** The position after the newest commit. */
  latest(): Promise<FollowPosition>;
  /** Reads from `from` to the newest commit, then ends. */
  read(from: FollowPosition): AsyncIterable<CommittedChunk>;
  /** Reads like `read`, then each new commit, until `signal` is aborted. */
  follow(from: FollowPosition, signal: AbortSignal): AsyncIterable<CommittedChunk>;
}
