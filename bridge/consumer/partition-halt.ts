import type { ProducerMark } from "../storage/commit-log.ts";
import type { Position } from "../streams/stream-log.ts";

/**
 * Why a partition is not read. STREAM_GAP, BLOCK_CORRUPT, BLOCK_FOREIGN: until an operator accepts the loss; a STREAM_GAP with nothing
 * behind it is tried again by itself where the stream says that this may change. BLOCK_VERSION: until the consumer is upgraded.
 * BLOCK_POISON (processes died of it, or a fault of Tidegate refuses it): until either. TOPIC_UNKNOWN: until the topic catalog knows
 * the version; tried again by itself.
 */
export const haltCodes = [
  "STREAM_GAP",
  "BLOCK_CORRUPT",
  "BLOCK_FOREIGN",
  "BLOCK_VERSION",
  "BLOCK_POISON",
  "TOPIC_UNKNOWN",
] as const;

export type HaltCode = (typeof haltCodes)[number];

/** What accepting a gap would commit. */
export interface GapSurvey {
  /** Reading goes on after this position. */
  readonly resumeAfter: Position;
  /** Acknowledged messages that were never read, at least. */
  readonly unaccounted: number;
  /** The marks of producers with a gap, as their next blocks claim. */
  readonly marks: ReadonlyMap<string, ProducerMark>;
}

export interface PartitionHalt {
  readonly code: HaltCode;
  /** For people. */
  readonly message: string;
  /** The position behind which it stands. */
  readonly position: Position;
  /** What resumes it: a command, or what it waits for. */
  readonly resume: string;
  /** What accepting the loss would mean; null where there is nothing to accept. */
  readonly survey: GapSurvey | null;
  /** Tried again by itself from then on, by the consumer's `elapsedMs`; null = never. */
  readonly retryAtMs: number | null;
  /** Since when it stands for this reason, by the consumer's `elapsedMs`; null = before this process. */
  readonly sinceMs: number | null;
  /** False while it may pass by itself within seconds: then it is not in the log yet. */
  readonly isTold: boolean;
}

export function acceptGapCommand(partition: number): string {
  return `tidegate stream accept-gap ${partition}`;
}

export function poisonResume(partition: number): string {
  return `upgrade Tidegate and restart it, or give the block up: ${acceptGapCommand(partition)}`;
}
