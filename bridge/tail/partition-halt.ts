import type { Position } from "../streams/stream-log.ts";
import type { ProducerMark } from "./producer-mark.ts";

/**
 * Why a partition is not read, and until when:
 * - STREAM_GAP, BLOCK_CORRUPT, BLOCK_FOREIGN: until an operator accepts the loss. A STREAM_GAP without later
 *   blocks is retried by itself if the stream says that the gap may pass.
 * - BLOCK_VERSION: until the consumer is upgraded.
 * - BLOCK_POISON: processes died of the block, or a fault of Tidegate refuses it. Until the loss is accepted
 *   or the consumer is upgraded.
 * - TOPIC_UNKNOWN: until the topic catalog knows the version; retried by itself.
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

/** What accepting a gap commits. */
export interface GapSurvey {
  /** Reading continues after this position. */
  readonly resumeAfter: Position;
  /** The least number of acknowledged messages that were never read. */
  readonly unaccounted: number;
  /** The marks of producers with a gap, by the claims of their next blocks. */
  readonly marks: ReadonlyMap<string, ProducerMark>;
}

export interface PartitionHalt {
  readonly code: HaltCode;
  /** For people. */
  readonly message: string;
  /** The partition is halted after this position. */
  readonly position: Position;
  /** For people: the command that resumes the partition, or what the partition waits for. */
  readonly resume: string;
  /** What accepting the loss means; null if there is nothing to accept. */
  readonly survey: GapSurvey | null;
  /** When reading is retried, by the consumer's `elapsedMs`; null = never by itself. */
  readonly retryAtMs: number | null;
  /**
   * Since when the partition is halted for this reason, by the consumer's `elapsedMs`; null = since before this
   * process.
   */
  readonly sinceMs: number | null;
  /** False while the halt may pass by itself within seconds; it is then not logged. */
  readonly isTold: boolean;
}

export function acceptGapCommand(partition: number): string {
  return `tidegate stream accept-gap ${partition}`;
}

export function poisonResume(partition: number): string {
  return `upgrade Tidegate and restart it, or give the block up: ${acceptGapCommand(partition)}`;
}
