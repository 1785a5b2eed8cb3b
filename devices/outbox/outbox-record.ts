// The outbox's file format. A segment is a header followed by records; all integers are big-endian.
//   header: "TGOB" | version u8 | 3 × 0 | epoch 8 | settled up to u64 | CRC-32 of all bytes before
//   record: body length u32 | CRC-32 of the body | body
//   body:   1 | sequence u64 | topic length u16 | topic | payload      a message
//           2 | sequence u64                                           all messages up to it are settled
import { crc32 } from "node:zlib";
import { epochBytes } from "../protocol/message-id.ts";

export const segmentHeaderBytes = 28;
export const settledRecordBytes = 17;

/** MQTT 3.1.1 §2.2.3: the largest remaining length. A record with a longer body is damaged. */
const bodyMaxBytes = 268_435_455;

const magic = Buffer.from("TGOB");
const version = 1;
const frameBytes = 8;
const messageType = 1;
const settledType = 2;
const bodyPrefixBytes = 9;
const messagePrefixBytes = 11;

export interface SegmentHeader {
  /** First half of the ids of all messages in the segment. */
  readonly epoch: Uint8Array;
  /** The settled mark at the time when the segment was begun. */
  readonly settledUpTo: number;
}

export interface MessageRecord {
  readonly sequence: number;
  readonly topic: string;
  readonly payload: Uint8Array;
}

export type ReadRecord =
  | { readonly kind: "message"; readonly end: number; readonly message: MessageRecord }
  | { readonly kind: "settled"; readonly end: number; readonly sequence: number }
  /** The record is whole only in a buffer of `neededBytes` from its offset on. */
  | { readonly kind: "incomplete"; readonly neededBytes: number }
  | { readonly kind: "damaged" };

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  magic.copy(bytes);
  bytes.writeUInt8(version, 4);
  bytes.set(header.epoch, 8);
  bytes.writeBigUInt64BE(BigInt(header.settledUpTo), 8 + epochBytes);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, segmentHeaderBytes - 4)), segmentHeaderBytes - 4);
  return bytes;
}

export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | "damaged" | "newer" {
  if (bytes.length < segmentHeaderBytes || !bytes.subarray(0, 4).equals(magic)) return "damaged";
  if (crc32(bytes.subarray(0, segmentHeaderBytes - 4)) !== bytes.readUInt32BE(segmentHeaderBytes - 4))
    return "damaged";
  if (bytes.readUInt8(4) !== version) return "newer";
  return {
    epoch: Uint8Array.from(bytes.subarray(8, 8 + epochBytes)),
    settledUpTo: Number(bytes.readBigUInt64BE(8 + epochBytes)),
  };
}

export function encodeMessageRecord({ sequence, topic, payload }: MessageRecord): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const bytes = Buffer.allocUnsafe(frameBytes + messagePrefixBytes + topicBytes + payload.length);
  bytes.writeUInt8(messageType, frameBytes);
  bytes.writeBigUInt64BE(BigInt(sequence), frameBytes + 1);
  bytes.writeUInt16BE(topicBytes, frameBytes + bodyPrefixBytes);
  bytes.write(topic, frameBytes + messagePrefixBytes);
  bytes.set(payload, frameBytes + messagePrefixBytes + topicBytes);
  return sealed(bytes);
}

export function encodeSettledRecord(sequence: number): Buffer {
  const bytes = Buffer.allocUnsafe(settledRecordBytes);
  bytes.writeUInt8(settledType, frameBytes);
  bytes.writeBigUInt64BE(BigInt(sequence), frameBytes + 1);
  return sealed(bytes);
}

function sealed(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(bytes.length - frameBytes, 0);
  bytes.writeUInt32BE(crc32(bytes.subarray(frameBytes)), 4);
  return bytes;
}

/** Reads the record at `offset`. The payload is a view into `bytes`. */
export function readRecord(bytes: Buffer, offset: number): ReadRecord {
  const available = bytes.length - offset;
  if (available < frameBytes) return { kind: "incomplete", neededBytes: frameBytes };
  const bodyBytes = bytes.readUInt32BE(offset);
  if (bodyBytes < bodyPrefixBytes || bodyBytes > bodyMaxBytes) return { kind: "damaged" };
  if (available < frameBytes + bodyBytes) return { kind: "incomplete", neededBytes: frameBytes + bodyBytes };
  const end = offset + frameBytes + bodyBytes;
  const body = bytes.subarray(offset + frameBytes, end);
  if (crc32(body) !== bytes.readUInt32BE(offset + 4)) return { kind: "damaged" };
  const sequence = Number(body.readBigUInt64BE(1));
  const type = body.readUInt8(0);
  if (type === settledType) return { kind: "settled", end, sequence };
  if (type !== messageType || bodyBytes < messagePrefixBytes) return { kind: "damaged" };
  const topicEnd = messagePrefixBytes + body.readUInt16BE(bodyPrefixBytes);
  if (topicEnd > bodyBytes) return { kind: "damaged" };
  const topic = body.toString("utf8", messagePrefixBytes, topicEnd);
  return { kind: "message", end, message: { sequence, topic, payload: body.subarray(topicEnd) } };
}
