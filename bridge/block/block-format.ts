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
 * Magic, version byte and checksum keep their places in all later versions. A reader can so tell damage from
 * a newer writer. In version 1 (Tidegate 0.1.0) the header ends at 64: it has no boot clock, and the wall
 * clock of its first message at 50.
 *
 * A message is: varint (route << 2 | qos) · varint device · varint payload length · payload. Routes and
 * devices are numbered from 0 in the order of their first use. The definition follows the first use:
 * - route: varint topic version · text topic id · byte (1 = the device id stands between prefix and suffix) ·
 *   text prefix · text suffix
 * - device: text device id
 *
 * A text is a varint length and that many bytes of UTF-8. Varints are LEB128, at most 5 bytes (32 bits).
 */
export const blockMagic = 0x42474454;
export const blockVersion = 2;
export const blockHeaderBytes = 84;
/** Version 1 is still read. */
export const firstVersion = 1;
export const firstHeaderBytes = 64;
export const checksumBytes = 4;
/** Size of an empty block: header and checksum. */
export const emptyBlockBytes = blockHeaderBytes + checksumBytes;
/**
 * Largest block. With its partition key, it fits a Kinesis record of 1 MiB, the default limit of a stream.
 */
export const maxBlockBytes = 900 * 1024;
/**
 * Largest payload. It fits into a block of maxBlockBytes with the longest topic name and device id that
 * MQTT allows (65,535 bytes each).
 */
export const maxMessagePayloadBytes = 768 * 1024;

export const streamIdBytes = 16;
export const producerIdBytes = 8;
export const bootIdBytes = 8;

/**
 * A block tells when the block before it was acknowledged, but only if that took no longer than this. Stream
 * time relies on this bound.
 */
export const promptAcknowledgementMs = 10_000;
/** Largest time in a header, which has 6 bytes for it. */
export const blockTimeMaxMs = 2 ** 48 - 1;

/** Offsets of the header's fields, in bytes. */
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
  /** 16 hex digits; random, new at each start of a producer. */
  readonly producerId: string;
  /**
   * The partition that the block is meant for. On Kinesis, a block can arrive in another one after a
   * reshard.
   */
  readonly partition: number;
  /** 1, 2, … per (producer, partition). */
  readonly sequence: number;
  /** The highest sequence that the stream had acknowledged when this block was sealed; 0 = none yet. */
  readonly lastAcknowledgedSequence: number;
  /**
   * Number of messages in the acknowledged blocks of this producer and partition, up to and including
   * `lastAcknowledgedSequence`.
   */
  readonly acknowledgedMessages: number;
  readonly time: BlockTime;
}

/** The clocks of a block's producer. Whole ms, 0 to 2^48 − 1. */
export interface BlockTime {
  /** Wall clock at sealing, ms since the epoch: the ingest time of its messages. */
  readonly wallMs: number;
  /** 16 hex digits: the boot of the machine whose boot clock the next two fields show. */
  readonly bootId: string;
  /** Boot clock at sealing. It never goes back. */
  readonly stampMs: number;
  /**
   * Boot clock when `lastAcknowledgedSequence` was acknowledged; 0 = no block was, or it took longer than
   * promptAcknowledgementMs.
   */
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
