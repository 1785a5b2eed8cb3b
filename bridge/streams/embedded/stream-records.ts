import { BridgeError } from "../../errors.ts";
import type { StreamRecord } from "../stream-record.ts";

/**
 * The records in the lmdb database of an embedded stream, format 1. A key is a kind byte, the partition (2
 * bytes) and, for blocks, the entry's number (8 bytes). Numbers are big-endian, so that a partition's blocks
 * are in order. Each value has a version number of lmdb-js: the appender's generation for OWNER, the append
 * time in ms for a block, otherwise 0.
 *
 * - STREAM: JSON, see StreamRecord
 * - OWNER: empty. Each appender raises its generation at the start. All commits depend on the generation, so
 *   that a former appender can't change the stream.
 * - STATE for each partition: five doubles, see PartitionRecord
 * - BLOCK: `appendedBytes` of its partition up to and including this block, as a double, then the block
 */
export const streamFormat = 1;

const kinds = { stream: 0, owner: 1, state: 2, block: 3 } as const;
const blockKeyBytes = 11;
/** The double before each block. */
export const blockPrefixBytes = 8;
const pageBytes = 4096;
/** lmdb stores at least two entries on a page; larger values get pages of their own, with a header. */
const inPageBytesMax = 2000;
const entryOverheadBytes = 48;
/**
 * Bytes of the file per byte of small values (measured): pages split in the middle if a partition other than
 * the last one grows.
 */
const pageSpread = 1.6;

export interface PartitionRecord {
  /** Number of the highest entry ever used. */
  readonly highest: number;
  /** Number of the highest trimmed entry. */
  readonly trimmedUpTo: number;
  /** Bytes on disk of all entries ever appended, and of the trimmed ones. The difference is retained. */
  readonly appendedBytes: number;
  readonly trimmedBytes: number;
  readonly lastAppendTimeMs: number;
}

export const emptyPartition: PartitionRecord = {
  highest: 0,
  trimmedUpTo: 0,
  appendedBytes: 0,
  trimmedBytes: 0,
  lastAppendTimeMs: 0,
};

export const streamKey = Buffer.from([kinds.stream]);
export const ownerKey = Buffer.from([kinds.owner]);

export function stateKey(partition: number): Buffer {
  const key = Buffer.allocUnsafe(3);
  key[0] = kinds.state;
  key.writeUInt16BE(partition, 1);
  return key;
}

export function blockKey(partition: number, entryNumber: number): Buffer {
  const key = Buffer.allocUnsafe(blockKeyBytes);
  key[0] = kinds.block;
  key.writeUInt16BE(partition, 1);
  key.writeUInt16BE(0, 3);
  key.writeUIntBE(entryNumber, 5, 6);
  return key;
}

export function entryNumberOfKey(key: Uint8Array): number {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUIntBE(5, 6);
}

export function encodeStreamRecord(record: StreamRecord): Buffer {
  return Buffer.from(JSON.stringify(record));
}

/**
 * @throws BridgeError STREAM_VERSION if a newer Tidegate created the stream, STREAM_DAMAGED if the record is
 * invalid.
 */
export function decodeStreamRecord(bytes: Uint8Array, folder: string): StreamRecord {
  const record = parseRecord(bytes);
  if (record && record.format > streamFormat) {
    throw new BridgeError(
      "STREAM_VERSION",
      `the stream in ${folder} has format ${record.format}, this Tidegate supports up to ${streamFormat}: run the newer Tidegate again`,
      { retryable: false, details: { format: record.format } },
    );
  }
  if (!record?.streamId || !record.partitionCount) {
    throw new BridgeError("STREAM_DAMAGED", `the stream in ${folder} has no valid record of its identity`, {
      retryable: false,
    });
  }
  return { ...record, unread: record.unread ?? null };
}

function parseRecord(bytes: Uint8Array): StreamRecord | null {
  try {
    const record: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return typeof record === "object" ? (record as StreamRecord | null) : null;
  } catch {
    return null;
  }
}

export function encodePartition(record: PartitionRecord): Buffer {
  const bytes = Buffer.allocUnsafe(40);
  bytes.writeDoubleLE(record.highest, 0);
  bytes.writeDoubleLE(record.trimmedUpTo, 8);
  bytes.writeDoubleLE(record.appendedBytes, 16);
  bytes.writeDoubleLE(record.trimmedBytes, 24);
  bytes.writeDoubleLE(record.lastAppendTimeMs, 32);
  return bytes;
}

export function decodePartition(bytes: Buffer): PartitionRecord {
  return {
    highest: bytes.readDoubleLE(0),
    trimmedUpTo: bytes.readDoubleLE(8),
    appendedBytes: bytes.readDoubleLE(16),
    trimmedBytes: bytes.readDoubleLE(24),
    lastAppendTimeMs: bytes.readDoubleLE(32),
  };
}

/** Bytes that a block takes on disk. */
export function storedBytes(blockBytes: number): number {
  const valueBytes = blockBytes + blockPrefixBytes + entryOverheadBytes;
  return valueBytes <= inPageBytesMax
    ? Math.ceil(valueBytes * pageSpread)
    : Math.ceil(valueBytes / pageBytes) * pageBytes;
}

export function encodeBlockValue(block: Uint8Array, appendedBytes: number): Buffer {
  const value = Buffer.allocUnsafeSlow(blockPrefixBytes + block.length);
  value.writeDoubleLE(appendedBytes, 0);
  value.set(block, blockPrefixBytes);
  return value;
}
