/**
 * Layout of a block, version 1; integers are little-endian.
 *
 * ```
 *  0   4  magic "TDGB"
 *  4   1  version
 *  5   1  zero
 *  6   2  partition the block is meant for
 *  8  16  stream id
 * 24   8  producer id
 * 32   6  sequence
 * 38   6  last acknowledged sequence
 * 44   6  acknowledged messages
 * 50   6  base time, ms since the epoch
 * 56   4  message count
 * 60   4  bytes of the whole block
 * 64      messages
 * -4   4  CRC-32 of everything before it
 * ```
 * Magic, version byte and checksum keep their places in every later version, so that damage is told from a newer writer.
 *
 * A message is: varint (route << 2 | qos) · varint device · varint payload length · payload.
 * Routes and devices are numbered in the order of their first use; the first use of number n, where n of them are known, is
 * followed by the definition:
 * - route: varint topic version · text topic id · byte (1 = the device id stands between prefix and suffix) · text prefix · text suffix
 * - device: text device id
 *
 * A text is a varint length and that many bytes of UTF-8. Varints are LEB128, at most 5 bytes (32 bits).
 */
export const BLOCK_MAGIC = 0x42474454;
export const BLOCK_VERSION = 1;
export const HEADER_BYTES = 64;
export const CHECKSUM_BYTES = 4;
/** An empty block: header and checksum. */
export const EMPTY_BLOCK_BYTES = HEADER_BYTES + CHECKSUM_BYTES;
/** Cap of one block: fits a Kinesis record of the smallest stream (1 MiB) with its partition key. */
export const MAX_BLOCK_BYTES = 900 * 1024;
/** A payload up to this size fits a block of MAX_BLOCK_BYTES with the longest topic name and device id MQTT allows (65,535 bytes each). */
export const MAX_MESSAGE_PAYLOAD_BYTES = 768 * 1024;

export const STREAM_ID_BYTES = 16;
export const PRODUCER_ID_BYTES = 8;

/** Where the header's fields stand. */
export const at = {
  magic: 0,
  version: 4,
  reserved: 5,
  partition: 6,
  streamId: 8,
  producerId: 24,
  sequence: 32,
  lastAcknowledgedSequence: 38,
  acknowledgedMessages: 44,
  baseTimeMs: 50,
  messageCount: 56,
  blockBytes: 60,
} as const;

/** What a producer knows when it seals a block. */
export interface BlockSeal {
  /** 32 hex digits. */
  readonly streamId: string;
  /** 16 hex digits, random at every start of a producer. */
  readonly producerId: string;
  /** The partition the block is meant for; it may land elsewhere. */
  readonly partition: number;
  /** 1, 2, … per (producer, partition). */
  readonly sequence: number;
  /** The highest sequence that the stream had acknowledged when this block was sealed; 0 = none yet. */
  readonly lastAcknowledgedSequence: number;
  /** Messages of this producer and partition in acknowledged blocks, up to and including that sequence. */
  readonly acknowledgedMessages: number;
  /** Producer's clock when the first message was added, ms since the epoch; for diagnosis only. */
  readonly baseTimeMs: number;
}

export interface BlockHeader extends BlockSeal {
  readonly version: number;
  readonly messageCount: number;
}

export interface BlockMessage {
  readonly topicId: string;
  readonly topicVersion: number;
  readonly topicName: string;
  readonly deviceId: string;
  readonly qos: 0 | 1 | 2;
  readonly payload: Uint8Array;
}
