/** One row to be written to a table. */
export interface Row {
  readonly deviceId: string;
  readonly topicName: string;
  /** null for raw topics and for quarantined messages without a readable id. */
  readonly messageId: Uint8Array | null;
  readonly eventTimeMs: number;
  /** µs after eventTimeMs: 0 to 999. */
  readonly eventTimeMicros: number;
  readonly eventTimeOutside: boolean;
  /** Wall clock of the producer when it packed the message, ms since the epoch. */
  readonly ingestTimeMs: number;
  /** Stream time, ms. The dedupe window of the row's id begins here. */
  readonly streamTimeMs: number;
  readonly payload: Uint8Array;
  /** CRC-32, signed 32-bit (Delta has no unsigned types). */
  readonly payloadCrc: number;
  readonly streamId: string;
  readonly partition: number;
  readonly position: string;
  /** Index of the message in its block. */
  readonly index: number;
}

export interface QuarantineFacts {
  readonly reason: string;
  readonly detail: string;
  readonly topicId: string;
  readonly topicVersion: number;
}
