import { DeviceError } from "../errors.ts";
import type { IdentityFile } from "./identity-file.ts";
import { encodeSettledRecord, segmentHeaderBytes } from "./outbox-record.ts";
import type { OutboxSegment } from "./outbox-segment.ts";
import type { SegmentList } from "./segment-list.ts";

/** A message that has its place in the order and waits for the write. */
export interface PendingAppend {
  readonly sequence: number;
  readonly record: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: DeviceError) => void;
}

export interface OutboxWriterOptions {
  readonly segments: SegmentList;
  readonly identity: IdentityFile;
  readonly segmentBytes: number;
  readonly settleLingerMs: number;
  /** Called after each flush that made messages durable. */
  readonly stored: () => void;
  /** Called once, after all waiting messages were rejected. */
  readonly failed: (error: DeviceError) => void;
}

const writeMaxBytes = 1_048_576;

/** An empty outbox starts a new segment once its file has grown to this. */
const drainedSegmentMaxBytes = 65_536;

/**
 * Group commit: messages that are pushed during a flush are written and flushed together by the next one. The
 * settled mark is written with them, or alone after `settleLingerMs`. Settled segments are deleted on the
 * way.
 */
export class OutboxWriter {
  readonly #options: OutboxWriterOptions;
  readonly #pending: PendingAppend[] = [];
  #pendingBytes = 0;
  #markedUpTo: number;
  #isMarkDue = false;
  #markTimer: NodeJS.Timeout | null = null;
  #isWriting = false;
  #writing: Promise<void> = Promise.resolve();
  #hasFailed = false;

  constructor(options: OutboxWriterOptions) {
    this.#options = options;
    this.#markedUpTo = options.segments.settledUpTo;
  }

  /** Bytes that wait for the write. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  push(entry: PendingAppend): void {
    this.#pending.push(entry);
    this.#pendingBytes += entry.record.length;
    this.#wake();
  }

  /** Call this after more messages were settled. */
  scheduleMark(): void {
    this.#markTimer ??= setTimeout(() => this.#markNow(), this.#options.settleLingerMs);
  }

  /**
   * Resolves when everything pushed so far is written or rejected. Also writes the settled mark, if the disk
   * allows.
   */
  async finish(): Promise<void> {
    this.#markNow();
    await this.#writing;
    if (this.#markTimer) clearTimeout(this.#markTimer);
  }

  #markNow(): void {
    if (this.#markTimer) clearTimeout(this.#markTimer);
    this.#markTimer = null;
    this.#isMarkDue = true;
    this.#wake();
  }

  #wake(): void {
    if (this.#isWriting || this.#hasFailed) return;
    this.#isWriting = true;
    this.#writing = this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    let canGoOn = true;
    while (canGoOn && (this.#pending.length > 0 || this.#isMarkDue || this.#options.segments.hasSettled))
      canGoOn = await this.#writeNext(this.#takeBatch());
    this.#isWriting = false;
  }

  /** False if an immediate retry is pointless. */
  async #writeNext(batch: readonly PendingAppend[]): Promise<boolean> {
    try {
      await this.#write(batch);
      this.#forget(batch);
      for (const entry of batch) entry.resolve();
      if (batch.length > 0) this.#options.stored();
      return true;
    } catch (error) {
      const failure = await this.#failureFor(error);
      this.#forget(batch);
      for (const entry of batch) entry.reject(failure);
      if (!failure.retryable) this.#fail(failure);
      return failure.retryable && batch.length > 0;
    }
  }

  #takeBatch(): PendingAppend[] {
    const maxBytes = Math.min(writeMaxBytes, this.#options.segmentBytes);
    let bytes = 0;
    let count = 0;
    for (const { record } of this.#pending) {
      bytes += record.length;
      if (count > 0 && bytes > maxBytes) break;
      count += 1;
    }
    return this.#pending.splice(0, count);
  }

  #forget(batch: readonly PendingAppend[]): void {
    for (const { record } of batch) this.#pendingBytes -= record.length;
  }

  async #write(batch: readonly PendingAppend[]): Promise<void> {
    const { segments, identity } = this.#options;
    this.#isMarkDue = false;
    await segments.deleteSettled();
    const last = batch.at(-1);
    if (last) await identity.reserve(last.sequence);
    const records = batch.map(({ record }) => record);
    const active = await this.#roomyActive(records.reduce((sum, { length }) => sum + length, 0));
    const { settledUpTo } = segments;
    if (settledUpTo > this.#markedUpTo) records.push(encodeSettledRecord(settledUpTo));
    if (records.length === 0) return;
    await active.append(records);
    for (const { sequence } of batch) active.noteMessage(sequence);
    this.#markedUpTo = settledUpTo;
  }

  async #roomyActive(bytes: number): Promise<OutboxSegment> {
    const { segments, segmentBytes, identity } = this.#options;
    const { active } = segments;
    if (!active) return await segments.rotate(identity.epoch);
    const isDrained = active.lastSequence <= segments.settledUpTo;
    const maxBytes = isDrained ? Math.min(drainedSegmentMaxBytes, segmentBytes) : segmentBytes;
    if (active.bytes === segmentHeaderBytes || active.bytes + bytes <= maxBytes) return active;
    return await segments.rotate(identity.epoch);
  }

  /**
   * A full disk leaves the outbox as it was. After any other failure, the disk's answers cannot be trusted.
   */
  async #failureFor(cause: unknown): Promise<DeviceError> {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    const isFull = (code === "ENOSPC" || code === "EDQUOT") && syscall === "write";
    if (isFull && (await this.#canRollBack()))
      return new DeviceError(
        "OUTBOX_WRITE_FAILED",
        "the disk is full, and the message was not stored: publish it again when there is room",
        { retryable: true, cause },
      );
    const text = `writing the outbox failed (${code ?? cause}): check the disk, then open the outbox again`;
    return new DeviceError("OUTBOX_FAILED", text, { retryable: false, cause });
  }

  async #canRollBack(): Promise<boolean> {
    try {
      await this.#options.segments.active?.rollBack();
      return true;
    } catch {
      return false;
    }
  }

  #fail(error: DeviceError): void {
    this.#hasFailed = true;
    for (const entry of this.#pending.splice(0)) entry.reject(error);
    this.#pendingBytes = 0;
    this.#options.failed(error);
  }
}
