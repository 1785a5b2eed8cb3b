/**
 * Layout of a block, version 2; integers are little-endian.
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
 * 50   6  wall clock at sealing, ms since the epoch
 * 56   4  message count
 * 60   4  bytes of the whole block
 * 64   8  boot id
 * 72   6  boot clock at sealing, ms
 * 78   6  boot clock when the last acknowledgement came, ms; 0 = none came, or late
 * 84      messages
 * -4   4  CRC-32 of everything before it
 * ```
 * Magic, version byte and checksum keep their places in every later version, so that damage is told from a newer writer.
 * Version 1 (Tidegate 0.1.0) ends its header at 64: it carries no boot clock, and at 50 the wall clock of its first message.
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
export const BLOCK_VERSION = 2;
export const HEADER_BYTES = 84;
/** Of version 1, which is still read. */
export const FIRST_VERSION = 1;
export const FIRST_HEADER_BYTES = 64;
export const CHECKSUM_BYTES = 4;
/** An empty block: header and checksum. */
export const EMPTY_BLOCK_BYTES = HEADER_BYTES + CHECKSUM_BYTES;
/** Cap of one block: fits a Kinesis record of the smallest stream (1 MiB) with its partition key. */
export const MAX_BLOCK_BYTES = 900 * 1024;
/** A payload up to this size fits a block of MAX_BLOCK_BYTES with the longest topic name and device id MQTT allows (65,535 bytes each). */
export const MAX_MESSAGE_PAYLOAD_BYTES = 768 * 1024;

export const STREAM_ID_BYTES = 16;
export const PRODUCER_ID_BYTES = 8;
export const BOOT_ID_BYTES = 8;

/** A block says when the one before it was acknowledged only if that took no longer: stream time relies on it. */
export const PROMPT_ACKNOWLEDGEMENT_MS = 10_000;
/** Times in a header have 6 bytes. */
export const BLOCK_TIME_MAX_MS = 2 ** 48 - 1;

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
  wallMs: 50,
  messageCount: 56,
  blockBytes: 60,
  bootId: 64,
  stampMs: 72,
  acknowledgedAtMs: 78,
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
  readonly time: BlockTime;
}

/** The clocks of a block's producer. Whole ms, 0 to 2^48 − 1. */
export interface BlockTime {
  /** Wall clock at sealing, ms since the epoch: the ingest time of its messages. */
  readonly wallMs: number;
  /** 16 hex digits: which boot of which machine the following are of. */
  readonly bootId: string;
  /** Boot clock at sealing: it never goes back, whatever becomes of the wall clock. */
  readonly stampMs: number;
  /** Boot clock when `lastAcknowledgedSequence` was acknowledged; 0 = none was, or it took longer than PROMPT_ACKNOWLEDGEMENT_MS. */
  readonly acknowledgedAtMs: number;
}

export interface BlockHeader extends Omit<BlockSeal, "time"> {
  readonly version: number;
  readonly messageCount: number;
  /** null in version 1. */
  readonly time: BlockTime | null;
}

export interface BlockMessage {
  readonly topicId: string;
  readonly topicVersion: number;
  readonly topicName: string;
  readonly deviceId: string;
  readonly qos: 0 | 1 | 2;
  readonly payload: Uint8Array;
}
