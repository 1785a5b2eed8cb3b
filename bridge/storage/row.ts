/** Value of a typed column: long, and timestamp in µs since the epoch, as a bigint where a number is not exact. */
export type ColumnValue = boolean | number | bigint | string | null;

/** One row on its way into a table. */
export interface Row {
  readonly deviceId: string;
  readonly topicName: string;
  /** null for raw topics and for quarantined messages without a readable id. */
  readonly messageId: Uint8Array | null;
  readonly eventTimeMs: number;
  /** µs after eventTimeMs: 0 to 999. */
  readonly eventTimeMicros: number;
  readonly eventTimeOutside: boolean;
  /** Wall clock when the message was packed for the stream. */
  readonly ingestTimeMs: number;
  /** Stream time: the row's id is remembered for a window from then on. */
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
