import type { DeltaAction } from "./delta-actions.ts";

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

/** PORT: checkpoints of Delta tables as objects in the lake's store. `paths` are those of one checkpoint. */
export interface CheckpointFiles {
  /** All actions that are about the table as a whole. */
  head(paths: readonly string[]): Promise<DeltaAction[]>;
  /** The file actions of one kind. */
  actions(paths: readonly string[], kind: "add" | "remove"): Promise<DeltaAction[]>;
  /** Writes a checkpoint of one file. File actions of the one before never pass through this process's heap. */
  write(path: string, content: CheckpointContent): Promise<WrittenCheckpoint>;
}
