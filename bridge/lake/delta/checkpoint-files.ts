import type { AddAction, DeltaAction } from "./delta-actions.ts";

export interface CheckpointContent {
  /**
   * Paths of the previous checkpoint. Its file actions are carried over unless `changedPaths` has their
   * decoded path.
   */
  readonly previous: readonly string[];
  readonly changedPaths: readonly string[];
  /** All other actions: protocol, metadata, txns, and file actions since the previous checkpoint. */
  readonly actions: readonly DeltaAction[];
  /** Columns with statistics: the table's columns except partitions and structures. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Older tombstones are dropped, ms since the epoch. */
  readonly tombstonesSinceMs: number;
}

export interface WrittenCheckpoint {
  readonly bytes: number;
  readonly actions: number;
  readonly addFiles: number;
}

/** @param removedAtMs Null if the table shows the file. */
export type VisitFile = (path: string, removedAtMs: number | null) => void;

/**
 * PORT: checkpoints of Delta tables as objects in the lake's store. `paths` are all files of one checkpoint.
 */
export interface CheckpointFiles {
  /** All actions that concern the table as a whole. */
  head(paths: readonly string[]): Promise<DeltaAction[]>;
  /**
   * Visits the files that the table shows, with a bounded number in memory at a time.
   *
   * @param untilDate Files of later days (`event_date`), or of none, may be left out.
   */
  eachAdd(paths: readonly string[], visit: (add: AddAction) => void, untilDate?: string): Promise<void>;
  /** Visits the files that the table shows and its tombstones, with a bounded number in memory at a time. */
  eachFile(paths: readonly string[], visit: VisitFile): Promise<void>;
  /**
   * Writes a checkpoint of one file. File actions of the previous checkpoint never pass through this
   * process's heap.
   */
  write(path: string, content: CheckpointContent): Promise<WrittenCheckpoint>;
}
