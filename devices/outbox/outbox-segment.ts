import { type FileHandle, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { DeviceError } from "../errors.ts";
import { syncFolder } from "./durable-file.ts";
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  type MessageRecord,
  readRecord,
  type SegmentHeader,
  segmentHeaderBytes,
} from "./outbox-record.ts";

/** Bytes per read of the file. A message keeps its whole read in memory until the message is settled. */
const readMaxBytes = 65_536;

/** The result of reading a segment. */
export interface RecoveredSegment {
  /** null if not even the header is whole; the file is then deleted. */
  readonly segment: OutboxSegment | null;
  /** The highest settled mark in header and records. */
  readonly settledUpTo: number;
  /** Bytes after the last whole record: a torn tail in the newest segment, damage in an older one. */
  readonly lostBytes: number;
}

export interface SegmentChunk {
  readonly messages: readonly MessageRecord[];
  readonly nextOffset: number;
  readonly isDamaged: boolean;
}

/**
 * One append-only file of the outbox. Bytes below `bytes` are durable; no caller was promised the bytes after
 * them.
 */
export class OutboxSegment {
  readonly index: number;
  readonly epoch: Uint8Array;
  readonly #folder: string;
  #handle: FileHandle | null = null;
  #bytes: number;
  #firstSequence = 0;
  #lastSequence = 0;
  #messages = 0;
  #unsettledMessages = 0;

  constructor(folder: string, index: number, header: SegmentHeader) {
    this.#folder = folder;
    this.index = index;
    this.epoch = header.epoch;
    this.#bytes = segmentHeaderBytes;
  }

  /** The index in a file name, or null for other files. */
  static indexOf(fileName: string): number | null {
    const match = /^(\d{12})\.segment$/.exec(fileName);
    return match ? Number(match[1]) : null;
  }

  static async create(folder: string, index: number, header: SegmentHeader): Promise<OutboxSegment> {
    const segment = new OutboxSegment(folder, index, header);
    try {
      segment.#handle = await open(segment.path, "w+", 0o600);
      await segment.#handle.write(encodeSegmentHeader(header), 0, segmentHeaderBytes, 0);
      await segment.#handle.datasync();
      await syncFolder(folder);
      return segment;
    } catch (error) {
      await segment.delete();
      throw error;
    }
  }

  /** Throws OUTBOX_OPEN_FAILED for a newer format. */
  static async recover(folder: string, index: number): Promise<RecoveredSegment> {
    const file = fileOf(folder, index);
    const bytes = await readFile(file);
    const header = decodeSegmentHeader(bytes);
    if (header === "newer")
      throw new DeviceError("OUTBOX_OPEN_FAILED", `${file} was written by a newer version: update the SDK`, {
        retryable: false,
      });
    if (header === "damaged") {
      await rm(file, { force: true });
      return { segment: null, settledUpTo: 0, lostBytes: bytes.length };
    }
    const segment = new OutboxSegment(folder, index, header);
    let settledUpTo = header.settledUpTo;
    for (;;) {
      const record = readRecord(bytes, segment.#bytes);
      if (record.kind === "incomplete" || record.kind === "damaged") break;
      segment.#bytes = record.end;
      if (record.kind === "message") segment.noteMessage(record.message.sequence);
      else settledUpTo = Math.max(settledUpTo, record.sequence);
    }
    return { segment, settledUpTo, lostBytes: bytes.length - segment.#bytes };
  }

  get path(): string {
    return fileOf(this.#folder, this.index);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** 0 if the segment holds no message. */
  get firstSequence(): number {
    return this.#firstSequence;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get messages(): number {
    return this.#messages;
  }

  get unsettledMessages(): number {
    return this.#unsettledMessages;
  }

  noteMessage(sequence: number): void {
    if (this.#messages === 0) this.#firstSequence = sequence;
    this.#lastSequence = sequence;
    this.#messages += 1;
    this.#unsettledMessages += 1;
  }

  noteSettled(messages: number): void {
    this.#unsettledMessages -= messages;
  }

  /** How many of the segment's messages have a sequence up to this one. */
  async countUpTo(sequence: number): Promise<number> {
    if (sequence < this.#firstSequence) return 0;
    if (sequence >= this.#lastSequence) return this.#messages;
    let count = 0;
    for (let offset = segmentHeaderBytes; offset < this.#bytes; ) {
      const chunk = await this.read(offset, readMaxBytes);
      count += chunk.messages.filter((message) => message.sequence <= sequence).length;
      offset = chunk.nextOffset;
      if (chunk.isDamaged || (chunk.messages.at(-1)?.sequence ?? 0) > sequence) break;
    }
    return count;
  }

  /**
   * Appends and flushes. After a rejection, nothing counts as appended: call `rollBack` before the next
   * append.
   */
  async append(records: readonly Uint8Array[]): Promise<void> {
    const handle = await this.#opened();
    const bytes = Buffer.concat(records);
    let written = 0;
    while (written < bytes.length) {
      const result = await handle.write(bytes, written, bytes.length - written, this.#bytes + written);
      written += result.bytesWritten;
    }
    await handle.datasync();
    this.#bytes += bytes.length;
  }

  /** Cuts off the bytes that a failed append, or a crash, left after the last whole record. */
  async rollBack(): Promise<void> {
    const handle = await this.#opened();
    await handle.truncate(this.#bytes);
    await handle.datasync();
  }

  /** Whole messages from `offset` on, about `maxBytes` of them, at least one record if there is one. */
  async read(
    offset: number,
    maxBytes: number,
    maxMessages = Number.POSITIVE_INFINITY,
  ): Promise<SegmentChunk> {
    let bytes = await this.#readBytes(offset, Math.min(maxBytes, readMaxBytes));
    const first = readRecord(bytes, 0);
    if (first.kind === "incomplete" && bytes.length > 0)
      bytes = await this.#readBytes(offset, first.neededBytes);
    const messages: MessageRecord[] = [];
    let consumed = 0;
    while (consumed < bytes.length && messages.length < maxMessages) {
      const record = readRecord(bytes, consumed);
      const isCutShort = record.kind === "incomplete" && offset + bytes.length < this.#bytes;
      if (isCutShort && consumed > 0) break;
      if (record.kind === "incomplete" || record.kind === "damaged")
        return { messages, nextOffset: offset + consumed, isDamaged: true };
      if (record.kind === "message") messages.push(record.message);
      consumed = record.end;
    }
    return { messages, nextOffset: offset + consumed, isDamaged: false };
  }

  async #readBytes(offset: number, maxBytes: number): Promise<Buffer> {
    const length = Math.min(maxBytes, this.#bytes - offset);
    const handle = await this.#opened();
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafeSlow(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }

  /**
   * Gives up the bytes after `offset`. Returns the number of messages in them, given how many were read up to
   * there.
   */
  abandonBehind(offset: number, read: { messages: number; lastSequence: number }): number {
    const lost = this.#messages - read.messages;
    this.#bytes = offset;
    this.#messages = read.messages;
    this.#unsettledMessages -= lost;
    this.#lastSequence = read.lastSequence;
    return lost;
  }

  async #opened(): Promise<FileHandle> {
    this.#handle ??= await open(this.path, "r+");
    return this.#handle;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close();
  }

  async delete(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }
}

function fileOf(folder: string, index: number): string {
  return join(folder, `${String(index).padStart(12, "0")}.segment`);
}
