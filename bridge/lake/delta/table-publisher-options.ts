import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { TopicCatalog } from "../../topics/topic-catalog.ts";
import type { LakeCommitLog } from "../commit-log/lake-commit-log.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";

export interface TablePublisherOptions {
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly topics: TopicCatalog;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly now?: () => number;
  /** ms on a clock that never goes back. */
  readonly elapsedMs?: () => number;
  /**
   * How long entries of a table's log are kept after a checkpoint replaced them, for time travel. Default 30
   * d.
   */
  readonly logRetentionMs?: number;
  /** Entries of a table's log between two checkpoints. Default 100. */
  readonly checkpointEntries?: number;
  /**
   * How long entries of the commit log are kept; at least the longest dedupe window of a topic. Default 7 d.
   */
  readonly commitRetentionMs?: number;
  /**
   * Entries that the commit log may keep for a table that cannot be published. Above that, filing stops.
   * Default 500,000.
   */
  readonly parkedCommitsMax?: number;
  readonly checkpoints?: CheckpointFiles;
  readonly readAhead?: number;
}
