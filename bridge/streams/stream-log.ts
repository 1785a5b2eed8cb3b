import type { PartitionMap } from "./partition-map.ts";

/**
 * Position of an entry in its partition, assigned by the stream. Opaque: compare only with
 * `StreamLog.comparePositions`.
 */
export type Position = string;

/** The position before the first entry of a partition, in all streams. */
export const startPosition: Position = "";

/** The position after the last entry of a closed partition, in all streams. It sorts after all others. */
export const endPosition: Position = "end";

export interface StreamEntry {
  readonly position: Position;
  /** Clock of the stream at the append, ms since the epoch. It may step, so use it only for lags. */
  readonly appendTimeMs: number;
  readonly block: Uint8Array;
  /** Set on the last entry of a closed partition: `position` is endPosition, and `block` is empty. */
  readonly isEnd?: true;
}

export interface PartitionState {
  /** Highest position ever used, even if its entry is trimmed; null if the stream does not say. */
  readonly highest: Position | null;
  /** All entries up to and including this position are trimmed. */
  readonly trimmedUpTo: Position;
  /** null if the stream does not say. */
  readonly retainedBytes: number | null;
  /**
   * How much older the last block read is than the stream's newest one, ms; absent if the stream does not
   * say.
   */
  readonly behindMs?: number;
  /** Age of `behindMs`, ms. */
  readonly behindAgoMs?: number;
}

/** The state of a partition of a stream that always tells its end and its size. */
export interface FixedPartitionState extends PartitionState {
  readonly highest: Position;
  readonly retainedBytes: number;
}

/**
 * PORT: partitions of ordered, immutable, durable blocks.
 *
 * - `append` resolves once the block survives a power cut, and otherwise rejects with a `BridgeError`. After
 *   a rejection, the block may still be stored, or appear later. The caller then appends the same bytes again
 *   or gives up their sequence; the consumer drops copies. In one partition, positions rise in the order of
 *   successive successful calls. STREAM_PARTITION_CLOSED means that the partition is closed, as `partitions`
 *   shows. The block may be in a partition that replaced it, but the caller appends its messages again, by
 *   `partitions`.
 * - `read` resolves with the entries after `after`, in order and without gaps; [] if there are none, or none
 *   were fetched so far. The last entry of a closed partition is followed by an entry with `isEnd`. If
 *   entries after `after` were trimmed or lost, `read` rejects with STREAM_GAP and never skips.
 *   `details.resumeAfter` is then the position after which reading works if an operator accepts the loss; it
 *   is absent if nothing is left to read. The error is retryable if the stream may later show `after` or
 *   entries after it, and can't mistake other entries for them.
 * - `trim` removes all entries up to and including a position. It is idempotent, and accepts lower positions
 *   that it does not know.
 * - All methods may run in parallel. After `close` they reject with STREAM_CLOSED.
 */
export interface StreamLog {
  /** Random id, stored in the stream at its creation. Positions are valid only together with it. */
  readonly streamId: string;
  /** Time that entries are kept, filed or not, ms; absent if they are kept until they are trimmed. */
  readonly retentionMs?: number;
  /** The partitions that this process knows; a new object after each change. */
  readonly partitions: PartitionMap;
  /** Calls back after each change of `partitions`. */
  onPartitionsChange(listener: () => void): void;
  /** Resolves once `partitions` is as new as this call; rejects if the stream does not answer. */
  refreshPartitions(): Promise<void>;
  append(partition: number, block: Uint8Array): Promise<Position>;
  read(
    partition: number,
    after: Position,
    limits: { maxBytes: number; maxEntries: number },
  ): Promise<StreamEntry[]>;
  /**
   * Resolves when entries may have been appended to one of `partitions` (default: any), or after
   * `timeoutMs`. May resolve without new entries.
   */
  waitForAppend(timeoutMs: number, partitions?: readonly number[]): Promise<void>;
  trim(partition: number, upTo: Position): Promise<void>;
  partitionState(partition: number): Promise<PartitionState>;
  /** Negative, zero or positive. startPosition is the lowest, endPosition the highest. */
  comparePositions(left: Position, right: Position): number;
  close(): Promise<void>;
}

/** A stream with the fixed partitions 0 to `partitionCount` − 1. */
export interface FixedStreamLog extends StreamLog {
  readonly partitionCount: number;
  partitionState(partition: number): Promise<FixedPartitionState>;
}
