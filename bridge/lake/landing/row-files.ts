import type { TypedColumn } from "../../topics/topic-catalog.ts";
import type { AddedFile } from "../commit-log/commit-log.ts";
import type { LandedLane } from "../commit-log/lane-commits.ts";

/** A landing file. */
export interface LandedSource {
  /** Number of the commit entry that names it. */
  readonly commit: number;
  /** Relative to the lake: `_landing/<uuid>.parquet`. */
  readonly path: string;
}

/** The rows of one lane that entries above `after` and up to `upTo` brought. */
export interface LaneRange {
  readonly lane: LandedLane;
  readonly after: number;
  readonly upTo: number;
}

/** The typed columns of one version of a topic, in the order of `_values`. */
export interface LandedVersion {
  readonly topicId: string;
  readonly version: number;
  readonly columns: readonly TypedColumn[];
}

/** Which landed rows become files of a table. */
export interface TableRows {
  /** The table's folder: the topic's name, or `_quarantine`. */
  readonly name: string;
  /**
   * All versions of the topics whose rows belong in this table: a name that was created again has two topics.
   * Null for `_quarantine`, which gets the quarantined rows of all topics.
   */
  readonly versions: readonly LandedVersion[] | null;
  readonly ranges: readonly LaneRange[];
}

/** PORT: the landing files of one round, read once, for the tables that the round settles. */
export interface RowRound {
  /**
   * Writes the rows as durable files under unique names: for each event hour one file, or several of about
   * the target size. Rows are sorted by event time; files of one hour do not overlap. No rows: no files.
   * Resolves with the files in the order of their hours.
   */
  write(rows: TableRows): Promise<readonly AddedFile[]>;
  close(): Promise<void>;
}

/** PORT: makes files of tables from landing files. Memory is bounded: rows may spill to disk. */
export interface RowFiles {
  /**
   * Stages all rows of the files; a store that is not on this disk copies at most its `copyMaxBytes`. Rejects
   * with LAKE_DAMAGED or PARQUET_FAILED if a file can't be read, and with STORE_FULL. The caller closes the
   * round.
   */
  open(sources: readonly LandedSource[]): Promise<RowRound>;
}
