import type { AddAction, DeltaAction } from "./delta-actions.ts";

export interface CheckpointContent {
  /** Paths of the checkpoint before, whose file actions are carried over unless their decoded path is in `changedPaths`. */
  readonly previous: readonly string[];
  readonly changedPaths: readonly string[];
  /** Everything else: protocol, metadata, txns, and file actions since the checkpoint before. */
  readonly actions: readonly DeltaAction[];
  /** What statistics of files are about: the table's columns but for partitions and structures. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Tombstones older than this are dropped, ms since the epoch. */
  readonly tombstonesSinceMs: number;
}

export interface WrittenCheckpoint {
  readonly bytes: number;
  readonly actions: number;
  readonly addFiles: number;
}

/** @param removedAtMs null if the table shows the file. */
export type VisitFile = (path: string, removedAtMs: number | null) => void;

/** PORT: checkpoints of Delta tables as objects in the lake's store. `paths` are those of one checkpoint. */
export interface CheckpointFiles {
  /** All actions that are about the table as a whole. */
  head(paths: readonly string[]): Promise<DeltaAction[]>;
  /** Visits those of the files that the table shows, a bounded number in memory at a time. */
  eachAdd(paths: readonly string[], visit: (add: AddAction) => void): Promise<void>;
  /** Visits the files that the table shows and those that it remembers as replaced, which need not all be in memory at a time. */
  eachFile(paths: readonly string[], visit: VisitFile): Promise<void>;
  /** Writes a checkpoint of one file. File actions of the one before never pass through this process's heap. */
  write(path: string, content: CheckpointContent): Promise<WrittenCheckpoint>;
}
