import type { LeasesStatus } from "../../leases/partition-leases.ts";
import { partitionOfKey } from "../../streams/partition-key.ts";
import { endPosition, type PartitionState, type Position } from "../../streams/stream-log.ts";
import type { HaltCode } from "../../tail/partition-halt.ts";
import type { LakeState, PartitionCounters } from "../commit-log/commit-log.ts";
import { emptyLakeState } from "../commit-log/lake-state.ts";
import { pastBooks } from "../commit-log/past-partitions.ts";
import type { TableTroubles } from "../table-publishing.ts";
import type { NamedWindowStatus } from "./ids/window-alarm.ts";
import type { OutsideTimesOfTopic } from "./outside-times.ts";
import type { PartitionCursor } from "./partitions/partition-cursor.ts";
import type { RecoveryStatus } from "./recovery-progress.ts";
import type { RetentionAlarm } from "./retention-alarm.ts";

export type ConsumerState = "recovering" | "running" | "backing-off" | "stopped";

export interface PartitionStatus {
  readonly partition: number;
  /** `recovering`: reads after the recovery. `waiting`: resumes by itself. `stopped`: needs an operator. */
  readonly state: "running" | "recovering" | "waiting" | "stopped";
  /** Why the partition is halted, and what resumes it. */
  readonly halt: { readonly code: HaltCode; readonly message: string; readonly resume: string } | null;
  /** End of the blocks read, and of the blocks committed. */
  readonly position: Position;
  readonly committed: Position;
  /** Elapsed time by which ids expire. It started at the wall clock's time, and may trail it. */
  readonly streamTimeMs: number;
  /** Bytes of unread blocks (null if the stream does not say), and of blocks in the open batch. */
  readonly lagBytes: number | null;
  readonly openBytes: number;
  /** Messages in the open batch's blocks: read, but not committed. */
  readonly openMessages: number;
  /** Time since the stream last said what it holds, ms; null if it has not answered yet. */
  readonly askedForMs: number | null;
  /** Age of the last block read, ms; 0 if no more blocks wait. */
  readonly lagMs: number;
  /** Longest time that a message may have waited without being in a table, ms; null if unknown. */
  readonly unfiledMs: number | null;
  /** Whether `unfiledMs` exceeds half of the stream's retention. */
  readonly isEndangered: boolean;
  /** Committed counters: read = filed + duplicates + quarantined + resent + misrouted. */
  readonly counters: PartitionCounters;
  /**
   * Acknowledged messages that were never read: those in accepted gaps, and at least those in the open gap.
   */
  readonly unaccounted: number;
}

/**
 * A partition that any process has read to its end. It is listed until all of its successors have begun, or
 * for ever if the lake does not know them.
 */
export interface FinishedPartition {
  readonly partition: number;
  readonly counters: PartitionCounters;
}

export interface ConsumerStatus {
  readonly state: ConsumerState;
  /** Progress of the recovery; null if none is in progress. */
  readonly recovery: RecoveryStatus | null;
  readonly lakeId: string;
  readonly streamId: string;
  /** The partitions that this process reads. */
  readonly partitions: readonly PartitionStatus[];
  /**
   * Partitions that are read to their end. All processes of the stream agree on them once they know the same
   * lake.
   */
  readonly finished: readonly FinishedPartition[];
  /** Sum of the earlier partitions, whose successors have all begun. */
  readonly past: { readonly partitions: number; readonly counters: PartitionCounters };
  /** Tables that do not show all committed rows, or whose logs grow. */
  readonly tables: TableTroubles;
  readonly eventTimesOutside: readonly OutsideTimesOfTopic[];
  /** The owner of each partition, as far as this process knows. */
  readonly leases: LeasesStatus;
  /** As of the last commit or recovery. */
  readonly window: NamedWindowStatus | null;
  readonly lastCommit: { readonly number: number; readonly atMs: number } | null;
  /** Since this process started. */
  readonly batches: number;
  /** Batches that were given up and read again, including one of a process that died before this one. */
  readonly replayedBatches: number;
  readonly publishesRepaired: number;
  /** The last failure that the loop recovered from or ended with. */
  readonly lastFailure: { readonly code: string; readonly message: string; readonly atMs: number } | null;
}

interface StatusClocks {
  readonly elapsedMs: number;
  /** Wall clock, ms since the epoch. */
  readonly nowMs: number;
}

export function partitionStatus(
  cursor: PartitionCursor,
  seen: { readonly state: PartitionState; readonly askedAtMs: number } | undefined,
  {
    alarm,
    isRecovering,
    ...clocks
  }: StatusClocks & { isRecovering: boolean; alarm: Pick<RetentionAlarm, "unfiledMs" | "isEndangered"> },
): PartitionStatus {
  const { partition, halt, position, committed, streamTimeMs, openBytes, committedCounters } = cursor;
  const { highest = null, retainedBytes = 0, behindMs } = seen?.state ?? {};
  const unreadBytes = retainedBytes === null ? null : Math.max(0, retainedBytes - openBytes);
  const isBehind = behindMs ? true : !cursor.isCaughtUp && highest !== null && highest !== position;
  return {
    partition,
    state: halt === null ? (isRecovering ? "recovering" : "running") : stateOf(halt.code),
    halt: halt && { code: halt.code, message: halt.message, resume: halt.resume },
    position,
    committed,
    streamTimeMs,
    lagBytes: isBehind ? unreadBytes : retainedBytes === null ? null : 0,
    openBytes,
    openMessages: cursor.counters.read - committedCounters.read,
    askedForMs: seen ? Math.max(0, clocks.elapsedMs - seen.askedAtMs) : null,
    lagMs: isBehind ? (behindMs ?? unreadForMs(cursor, clocks)) : 0,
    unfiledMs: alarm.unfiledMs(cursor),
    isEndangered: alarm.isEndangered(cursor),
    counters: committedCounters,
    unaccounted: committedCounters.unaccounted + (halt?.survey?.unaccounted ?? 0),
  };
}

function stateOf(code: HaltCode): PartitionStatus["state"] {
  return code === "TOPIC_UNKNOWN" ? "waiting" : "stopped";
}

/**
 * Time since the last block read was appended, ms. If this process has read none, the last block of the
 * process before counts.
 */
function unreadForMs(
  { readUpToMs, filedUpToMs, streamTimeMs }: PartitionCursor,
  { elapsedMs, nowMs }: StatusClocks,
): number {
  const upToMs = readUpToMs ?? filedUpToMs;
  if (upToMs !== null) return Math.max(0, elapsedMs - upToMs);
  return streamTimeMs > 0 ? Math.max(0, nowMs - streamTimeMs) : 0;
}

/**
 * Ended partitions by number, without those that this process still holds.
 * @param lake Undefined if not loaded yet.
 */
export function endedPartitions(
  lake: LakeState | undefined,
  streamId: string,
  held: readonly Pick<PartitionCursor, "partition">[],
): Pick<ConsumerStatus, "finished" | "past"> {
  const finished: FinishedPartition[] = [];
  for (const [key, { to, counters }] of lake?.moves ?? []) {
    const { streamId: stream, partition } = partitionOfKey(key);
    const isHeld = held.some((cursor) => cursor.partition === partition);
    if (to === endPosition && stream === streamId && !isHeld) finished.push({ partition, counters });
  }
  finished.sort((left, right) => left.partition - right.partition);
  return { finished, past: pastBooks(lake ?? emptyLakeState, streamId) };
}
