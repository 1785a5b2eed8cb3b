import { randomBytes } from "node:crypto";
import { DeviceError } from "../errors.ts";
import { makeFolderDurably } from "../protocol/durable-folder.ts";
import { encodeMessageId } from "../protocol/message-id.ts";
import { removeTemporaryFiles } from "./durable-file.ts";
import { FolderLock } from "./folder-lock.ts";
import { IdentityFile } from "./identity-file.ts";
import { type OutboxMessage, OutboxReader } from "./outbox-reader.ts";
import { encodeMessageRecord } from "./outbox-record.ts";
import { OutboxWriter } from "./outbox-writer.ts";
import { type RecoveryReport, SegmentList } from "./segment-list.ts";

/**
 * `reject`: refuse new messages. `drop-oldest`: give up the oldest ones, about 1/16 of `maxBytes` at a time.
 */
export type WhenFull = "reject" | "drop-oldest";

export interface OutboxOptions {
  readonly folder: string;
  /**
   * Bound on the bytes of all messages on disk, framing included; at least `outboxMinBytes`. A message may
   * use 1/8 of it.
   */
  readonly maxBytes: number;
  readonly whenFull: WhenFull;
  readonly observer: OutboxObserver;
  /**
   * How long a settled mark may wait for the next write, ms. A mark that is lost in a crash costs resends,
   * never messages.
   */
  readonly settleLingerMs?: number;
  readonly randomBytes?: (length: number) => Uint8Array;
}

/** Told synchronously; must not throw. */
export interface OutboxObserver {
  /** There are new messages to read. */
  stored(): void;
  /** `drop-oldest` gave up messages; everything up to this sequence is settled. */
  dropped(drop: { messages: number; upTo: number }): void;
  /** Messages on disk that can no longer be read. */
  damaged(damage: { messages: number }): void;
  /** The disk failed: no more messages can be appended. */
  failed(error: DeviceError): void;
}

export interface AppendedMessage {
  readonly sequence: number;
  /** 16 bytes: see encodeMessageId. */
  readonly id: Uint8Array;
}

export const outboxMinBytes = 65_536;

const segmentBytesRange = { min: 16_384, max: 16_777_216 };
const pendingMaxBytes = 4_194_304;

/**
 * A durable queue of messages on disk, for one process at a time.
 * - `append` resolves once the message survives a power cut; many calls share one flush. Only such messages
 *   are ever read.
 * - Messages are read, and settled, in the order of `append`. Unsettled messages are read again after a
 *   restart.
 * - A message id is never given out twice, even after damage or deletion (see IdentityFile).
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lock: FolderLock;
  readonly #segments: SegmentList;
  readonly #identity: IdentityFile;
  readonly #reader: OutboxReader;
  readonly #writer: OutboxWriter;
  #failure: DeviceError | null = null;
  #closing: Promise<void> | null = null;

  private constructor(
    options: OutboxOptions,
    parts: { lock: FolderLock; segments: SegmentList; identity: IdentityFile },
  ) {
    this.#options = options;
    this.#lock = parts.lock;
    this.#segments = parts.segments;
    this.#identity = parts.identity;
    this.#reader = new OutboxReader(parts.segments);
    this.#writer = new OutboxWriter({
      ...parts,
      segmentBytes: segmentBytesFor(options.maxBytes),
      settleLingerMs: options.settleLingerMs ?? 100,
      stored: () => options.observer.stored(),
      failed: (error) => {
        this.#failure = error;
        options.observer.failed(error);
      },
    });
  }

  /** Creates the folder if there is none. Rejects with OUTBOX_LOCKED or OUTBOX_OPEN_FAILED. */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const { folder } = options;
    let lock: FolderLock | null = null;
    try {
      makeFolderDurably(folder, { mode: 0o700 });
      lock = await FolderLock.acquire(folder);
      await removeTemporaryFiles(folder);
      const segments = await SegmentList.recover(folder);
      const identity = await IdentityFile.open(folder, {
        atLeast: segments.lastSequence + 1,
        randomBytes: options.randomBytes ?? randomBytes,
      });
      const { active } = segments;
      if (!active || Buffer.compare(active.epoch, identity.epoch) !== 0)
        await segments.rotate(identity.epoch);
      return new Outbox(options, { lock, segments, identity });
    } catch (error) {
      await lock?.release();
      throw error instanceof DeviceError ? error : openFailed(folder, error);
    }
  }

  /** The state found at `open`. */
  get recovered(): RecoveryReport {
    return this.#segments.report;
  }

  /** Messages that are stored and not settled. */
  get messages(): number {
    return this.#segments.messages;
  }

  /** Bytes on disk, and bytes in memory that will be written. */
  get bytes(): number {
    return this.#segments.bytes + this.#writer.pendingBytes;
  }

  /** Sequence up to which every message is acknowledged, rejected, dropped or lost. */
  get settledUpTo(): number {
    return this.#segments.settledUpTo;
  }

  /**
   * Appends one message, whose payload may hold its own id.
   *
   * Rejects with OUTBOX_FULL, OUTBOX_BUSY or OUTBOX_WRITE_FAILED: the message was not kept, and the same call
   * may succeed later. Rejects with MESSAGE_INVALID, OUTBOX_FAILED or CLIENT_CLOSED if a retry cannot
   * succeed.
   */
  append(topic: string, payloadOf: (message: AppendedMessage) => Uint8Array): Promise<AppendedMessage> {
    return new Promise((resolve, reject) => {
      if (this.#closing) throw new DeviceError("CLIENT_CLOSED", "the outbox is closed", { retryable: false });
      if (this.#failure) throw this.#failure;
      const sequence = this.#identity.nextSequence;
      const id = encodeMessageId({ epoch: this.#identity.epoch, sequence });
      const record = encodeMessageRecord({ sequence, topic, payload: payloadOf({ sequence, id }) });
      this.#makeRoom(record.length);
      this.#identity.takeSequence();
      this.#writer.push({ sequence, record, resolve: () => resolve({ sequence, id }), reject });
    });
  }

  #makeRoom(bytes: number): void {
    const { maxBytes, whenFull, observer } = this.#options;
    if (bytes > maxBytes / 8)
      throw new DeviceError(
        "MESSAGE_INVALID",
        `the message takes ${bytes} bytes in the outbox, at most ${Math.floor(maxBytes / 8)} (1/8 of its maxBytes) are allowed`,
        { retryable: false },
      );
    if (this.#writer.pendingBytes + bytes > Math.min(pendingMaxBytes, maxBytes / 4))
      throw new DeviceError(
        "OUTBOX_BUSY",
        "too many publishes wait for the disk: await some of them before the next one",
        { retryable: true },
      );
    while (this.bytes + bytes > maxBytes) {
      const drop = whenFull === "drop-oldest" ? this.#segments.dropOldest() : null;
      if (!drop)
        throw new DeviceError("OUTBOX_FULL", `the outbox is full (${maxBytes} bytes): wait until it drains`, {
          retryable: true,
          details: { bytes: this.bytes, maxBytes, messages: this.messages },
        });
      if (drop.messages > 0) observer.dropped(drop);
    }
  }

  /**
   * The next messages in order, [] if there is none yet. Each is read once per `open`. One call at a time.
   */
  async read(limits: { maxBytes: number; maxMessages: number }): Promise<OutboxMessage[]> {
    if (this.#closing) return [];
    const { messages, damaged } = await this.#reader.read(limits);
    if (damaged > 0) this.#options.observer.damaged({ messages: damaged });
    return messages;
  }

  /** Marks the message as done. Messages are settled one by one in the order in which they were read. */
  settle(sequence: number): void {
    if (sequence <= this.#segments.settledUpTo) return;
    this.#segments.settle(sequence);
    this.#writer.scheduleMark();
  }

  /** Finishes pending `append` calls, writes the settled mark and releases the folder. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writer.finish();
    // A reservation that is not given back only leaves a gap in the sequences.
    if (!this.#failure) await this.#identity.close().catch(() => undefined);
    await this.#segments.close();
    await this.#lock.release();
  }
}

function segmentBytesFor(maxBytes: number): number {
  return Math.min(segmentBytesRange.max, Math.max(segmentBytesRange.min, Math.floor(maxBytes / 16)));
}

export function openFailed(folder: string, cause: unknown): DeviceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DeviceError("OUTBOX_OPEN_FAILED", `the outbox folder ${folder} can't be used: ${reason}`, {
    retryable: false,
    cause,
    details: { folder },
  });
}
