import { type LakeState, type PartitionCounters, partitionOfKey } from "../storage/commit-log.ts";
import { emptyLakeState } from "../storage/lake-state.ts";
import { pastBooks } from "../storage/past-partitions.ts";
import type { TableTroubles } from "../storage/seed-source.ts";
import { END_POSITION, type PartitionState, type Position } from "../streams/stream-log.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import type { HaltCode } from "./partition-halt.ts";
import type { LeasesStatus } from "./partition-leases.ts";
import type { RecoveryStatus } from "./recovery-progress.ts";
import type { RetentionAlarm } from "./retention-alarm.ts";
import type { NamedWindowStatus } from "./window-alarm.ts";

export type ConsumerState = "recovering" | "running" | "backing-off" | "stopped";

export interface PartitionStatus {
  readonly partition: number;
  /** `recovering`: nothing is read before that has ended; `waiting` resumes by itself, `stopped` needs somebody. */
  readonly state: "running" | "recovering" | "waiting" | "stopped";
  /** Why it is not running, and what resumes it. */
  readonly halt: { readonly code: HaltCode; readonly message: string; readonly resume: string } | null;
  /** Read so far, and committed so far. */
  readonly position: Position;
  readonly committed: Position;
  /** Elapsed time by which ids expire; it began like the wall clock, and may be behind it. */
  readonly streamTimeMs: number;
  /** Bytes of blocks that were not read yet, where the stream says so, and of blocks in the open batch. */
  readonly lagBytes: number | null;
  readonly openBytes: number;
  /** Messages of those blocks: read, and in no commit yet. */
  readonly openMessages: number;
  /** How long ago the stream was asked what it holds, ms; null = it has not answered. */
  readonly askedForMs: number | null;
  /** Age of the last block read, ms; 0 where nothing more waits. */
  readonly lagMs: number;
  /** For how long something may have waited that is in no table yet, ms; null where this process does not know. */
  readonly unfiledMs: number | null;
  /** That is more than half of the time for which the stream keeps it. */
  readonly isEndangered: boolean;
  /** As committed: read = filed + duplicates + quarantined + resent + misrouted. */
  readonly counters: PartitionCounters;
  /** Acknowledged messages that were never read: accepted gaps, and at least what the open gap holds. */
  readonly unaccounted: number;
}

/**
 * A partition that was read to its end by any process. It stands here until all partitions that took its place have begun, or for good if
 * the lake does not know which they are.
 */
export interface FinishedPartition {
  readonly partition: number;
  readonly counters: PartitionCounters;
}

export interface ConsumerStatus {
  readonly state: ConsumerState;
  /** How far a recovery is that is under way; null = none is. */
  readonly recovery: RecoveryStatus | null;
  readonly lakeId: string;
  readonly streamId: string;
  /** Those that this process reads. */
  readonly partitions: readonly PartitionStatus[];
  /** Those of which nothing is left to read, as far as this process knows the lake; all processes of the stream say the same of them. */
  readonly finished: readonly FinishedPartition[];
  /** Those before them: all that took their place have begun, so that the books have them together. */
  readonly past: { readonly partitions: number; readonly counters: PartitionCounters };
  /** Tables that do not show what is committed, or whose logs grow. Everything else goes on. */
  readonly tables: TableTroubles;
  /** Who reads which partition of the stream, as far as this process knows. */
  readonly leases: LeasesStatus;
  /** As it was at the last commit or recovery. */
  readonly window: NamedWindowStatus | null;
  readonly lastCommit: { readonly number: number; readonly atMs: number } | null;
  /** Since this process started. */
  readonly batches: number;
  /** Batches that were given up and read again, that of a process that died before this one included. */
  readonly replayedBatches: number;
  readonly publishesRepaired: number;
  /** The last failure that the loop recovered from or ended with. */
  readonly lastFailure: { readonly code: string; readonly message: string; readonly atMs: number } | null;
}

interface StatusClocks {
  readonly elapsedMs: number;
  /** Wall clock. */
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

/** Since what was read last was appended; of a process that has read nothing yet, since what the one before it read. */
function unreadForMs(
  { readUpToMs, filedUpToMs, streamTimeMs }: PartitionCursor,
  { elapsedMs, nowMs }: StatusClocks,
): number {
  const upToMs = readUpToMs ?? filedUpToMs;
  if (upToMs !== null) return Math.max(0, elapsedMs - upToMs);
  return streamTimeMs > 0 ? Math.max(0, nowMs - streamTimeMs) : 0;
}

/** By number; without those that this process still holds. @param lake undefined = it is not known yet. */
export function endedPartitions(
  lake: LakeState | undefined,
  streamId: string,
  held: readonly Pick<PartitionCursor, "partition">[],
): Pick<ConsumerStatus, "finished" | "past"> {
  const finished: FinishedPartition[] = [];
  for (const [key, { to, counters }] of lake?.moves ?? []) {
    const { streamId: stream, partition } = partitionOfKey(key);
    const isHeld = held.some((cursor) => cursor.partition === partition);
    if (to === END_POSITION && stream === streamId && !isHeld) finished.push({ partition, counters });
  }
  finished.sort((left, right) => left.partition - right.partition);
  return { finished, past: pastBooks(lake ?? emptyLakeState, streamId) };
}
