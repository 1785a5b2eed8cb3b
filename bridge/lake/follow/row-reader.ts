import type { Position } from "../../streams/stream-log.ts";
import type { CommittedLanding } from "../commit-log/landed-file.ts";
import type { CommittedRow, FollowedTable } from "./committed-rows.ts";

/** A part of a partition: positions after `from`, up to and including `to`. */
export interface StreamRange {
  readonly streamId: string;
  readonly partition: number;
  readonly from: Position;
  readonly to: Position;
}

/** Files of one table to read. */
export interface FollowedFiles extends Omit<FollowedTable, "columns"> {
  /** Paths in the store. */
  readonly paths: readonly string[];
  /** Only rows of these ranges; null = all. */
  readonly ranges: readonly StreamRange[] | null;
  /** A landing file: its rows, which may be in table files by now, are left out. Null = none. */
  readonly except: string | null;
}

/** PORT: reads rows of table files and landing files. One caller uses it at a time. */
export interface RowReader {
  /** Slices of bounded size, in stream order (`comparePlaces`). */
  rows(files: FollowedFiles): AsyncIterable<readonly CommittedRow[]>;
  /** The rows of all tables in a landing file, as `rows` hands them over. */
  landed(landing: CommittedLanding): AsyncIterable<readonly CommittedRow[]>;
  count(files: FollowedFiles): Promise<number>;
  close(): Promise<void>;
}
