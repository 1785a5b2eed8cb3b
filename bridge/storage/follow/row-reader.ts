import type { Position } from "../../streams/stream-log.ts";
import type { CommittedRow, FollowedTable } from "./committed-rows.ts";

/** A part of a partition: after `from`, up to `to`. */
export interface StreamRange {
  readonly streamId: string;
  readonly partition: number;
  readonly from: Position;
  readonly to: Position;
}

/** Files to read of one table. */
export interface FollowedFiles extends Omit<FollowedTable, "columns"> {
  /** Paths in the store. */
  readonly paths: readonly string[];
  /** Only rows of these ranges; null = all. */
  readonly ranges: readonly StreamRange[] | null;
}

/** PORT: rows in data files. Used by one caller at a time. */
export interface RowReader {
  /** Slices of bounded size, in the order of the stream (`comparePlaces`). */
  rows(files: FollowedFiles): AsyncIterable<readonly CommittedRow[]>;
  count(files: FollowedFiles): Promise<number>;
  close(): Promise<void>;
}
