/** Id of a stream entry, as the stream gives it; opaque outside the adapter. Compare only with `StreamLog.comparePositions`. */
export type Position = string;

/** Before the first entry of every partition of every stream. */
export const START_POSITION: Position = "";

export interface StreamEntry {
  readonly position: Position;
  /** The stream's own append time, ms since the epoch. */
  readonly appendTimeMs: number;
  readonly block: Uint8Array;
}

export interface PartitionState {
  /** Highest position ever used, also when its entry has been trimmed since. */
  readonly highest: Position;
  /** Every entry at or below this one has been trimmed. */
  readonly trimmedUpTo: Position;
  readonly retainedBytes: number;
}

/**
 * PORT: partitions of ordered, immutable, durable blocks.
 *
 * - `append` resolves once the block survives a power cut, and rejects with a `BridgeError` otherwise. After a rejection the block
 *   may still be there or appear later: the caller re-sends the same bytes or abandons their sequence, the consumer drops copies.
 *   Blocks of one partition get rising positions in the order of the calls that succeed one after another.
 * - `read` resolves with entries strictly after `after`, in order, without holes; [] where there is none yet.
 *   Where entries after `after` were trimmed or lost it rejects with STREAM_GAP and never skips; its `details.resumeAfter` is the
 *   position after which reading works again, should an operator accept the loss (absent where nothing is left to read).
 * - `trim` removes all entries up to and including a position; idempotent; unknown lower positions are no fault.
 * - All methods may run in parallel. After `close` all of them reject with STREAM_CLOSED.
 */
export interface StreamLog {
  /** Random id stored in the stream when it was created; positions are bound to it. */
  readonly streamId: string;
  readonly partitionCount: number;
  append(partition: number, block: Uint8Array): Promise<Position>;
  read(
    partition: number,
    after: Position,
    limits: { maxBytes: number; maxEntries: number },
  ): Promise<StreamEntry[]>;
  /** Resolves when entries may have been appended to one of `partitions` (default: any), or after `timeoutMs`. May wake without need. */
  waitForAppend(timeoutMs: number, partitions?: readonly number[]): Promise<void>;
  trim(partition: number, upTo: Position): Promise<void>;
  partitionState(partition: number): Promise<PartitionState>;
  /** Negative, zero or positive; START_POSITION comes before everything. */
  comparePositions(left: Position, right: Position): number;
  close(): Promise<void>;
}
