import type { PartitionMap } from "./partition-map.ts";

/** Id of a stream entry, as the stream gives it; opaque outside the adapter. Compare only with `StreamLog.comparePositions`. */
export type Position = string;

/** Before the first entry of every partition of every stream. */
export const START_POSITION: Position = "";

/** Behind the last entry of a partition that takes no more, of every stream: it sorts after all others. */
export const END_POSITION: Position = "end";

export interface StreamEntry {
  readonly position: Position;
  /** What the stream's own clock showed at the append, ms since the epoch. It steps like that clock; nothing but lags is made of it. */
  readonly appendTimeMs: number;
  readonly block: Uint8Array;
  /** The partition takes no more, and nothing follows: `position` is END_POSITION, `block` empty. */
  readonly isEnd?: true;
}

export interface PartitionState {
  /** Highest position ever used, also when its entry has been trimmed since; null where the stream does not say. */
  readonly highest: Position | null;
  /** Every entry at or below this one has been trimmed. */
  readonly trimmedUpTo: Position;
  /** null where the stream does not say. */
  readonly retainedBytes: number | null;
  /** By how many ms what was read last is older than the stream's newest entry; absent where the stream does not say. */
  readonly behindMs?: number;
  /** How long ago the stream was asked for that, ms. */
  readonly behindAgoMs?: number;
}

/** The state of a partition that trims and knows its end. */
export interface FixedPartitionState extends PartitionState {
  readonly highest: Position;
  readonly retainedBytes: number;
}

/**
 * PORT: partitions of ordered, immutable, durable blocks.
 *
 * - `append` resolves once the block survives a power cut, and rejects with a `BridgeError` otherwise. After a rejection the block
 *   may still be there or appear later: the caller re-sends the same bytes or abandons their sequence, the consumer drops copies.
 *   Blocks of one partition get rising positions in the order of the calls that succeed one after another.
 *   STREAM_PARTITION_CLOSED: the partition takes no more, and `partitions` shows it. The block may stand in one that took its place: its
 *   messages are to be appended anew, where `partitions` says.
 * - `read` resolves with entries strictly after `after`, in order, without holes; [] where there is none yet, or none fetched yet.
 *   The last one of a partition that takes no more is followed by an entry with `isEnd`.
 *   Where entries after `after` were trimmed or lost it rejects with STREAM_GAP and never skips; its `details.resumeAfter` is the
 *   position after which reading works again, should an operator accept the loss (absent where nothing is left to read). It is
 *   retryable where the stream may still show `after` again, or something behind it, and can't take other entries for those.
 * - `trim` removes all entries up to and including a position; idempotent; unknown lower positions are no fault.
 * - All methods may run in parallel. After `close` all of them reject with STREAM_CLOSED.
 */
export interface StreamLog {
  /** Random id stored in the stream when it was created; positions are bound to it. */
  readonly streamId: string;
  /** How long entries are kept, filed or not, ms; absent where they are kept until they are trimmed. */
  readonly retentionMs?: number;
  /** As far as this process knows: another object after each change. */
  readonly partitions: PartitionMap;
  /** Calls back after each change of `partitions`. */
  onPartitionsChange(listener: () => void): void;
  /** Resolves once `partitions` holds what the stream had when this was called; rejects where the stream can't be asked now. */
  refreshPartitions(): Promise<void>;
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
  /** Negative, zero or positive; START_POSITION comes before everything, END_POSITION after. */
  comparePositions(left: Position, right: Position): number;
  close(): Promise<void>;
}

/** A stream whose partitions, 0 to `partitionCount` − 1, are never divided. */
export interface FixedStreamLog extends StreamLog {
  readonly partitionCount: number;
  partitionState(partition: number): Promise<FixedPartitionState>;
}
