import { open, statfs } from "node:fs/promises";
import { streamFile, writtenBytesOf } from "./stream-file.ts";

/** What a transaction writes besides its blocks, generously: the pages that lead to them. */
export const TRANSACTION_OVERHEAD_BYTES = 512 * 1024;

/** Blocks of different sizes leave gaps in the file, so not all of its free room counts. */
export const usableShareOfFile = 0.75;
const reserveShareOfDisk = 0.1;
const pollMs = 1000;

export interface SpaceStatus {
  readonly retainedBytes: number;
  readonly maxBytes: number;
  readonly diskFreeBytes: number;
  /** Held free for trimming, commits and everything else on that disk. */
  readonly diskReserveBytes: number;
  /** What lmdb has written of the stream's file, pages that are free again included. */
  readonly fileBytes: number;
}

/** The disk as the budget sees it; a parameter so that a test can fill it. */
export type ReadDisk = (
  folder: string,
) => Promise<{ freeBytes: number; totalBytes: number; fileBytes: number }>;

/**
 * Holds appends back before the disk is full: by the bytes of untrimmed blocks, and by the disk's free space, polled once a second.
 * The file never shrinks, but blocks that were trimmed leave room in it: below the reserve, appends that fit in there still pass.
 */
export class SpaceBudget {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #reserveBytes: number;
  readonly #readDisk: ReadDisk;
  #freeBytes = Number.POSITIVE_INFINITY;
  #totalBytes = Number.POSITIVE_INFINITY;
  #fileBytes = 0;
  #bytesSincePoll = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { folder: string; maxBytes: number; reserveBytes: number; readDisk?: ReadDisk }) {
    this.#folder = options.folder;
    this.#maxBytes = options.maxBytes;
    this.#reserveBytes = options.reserveBytes;
    this.#readDisk = options.readDisk ?? readDisk;
  }

  async start(): Promise<void> {
    await this.poll();
    this.#timer = setInterval(() => void this.poll(), pollMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks at the disk. Where it can't be read, the last look stands. */
  async poll(): Promise<void> {
    try {
      const { freeBytes, totalBytes, fileBytes } = await this.#readDisk(this.#folder);
      this.#freeBytes = freeBytes;
      this.#totalBytes = totalBytes;
      this.#fileBytes = fileBytes;
      this.#bytesSincePoll = 0;
    } catch {
      // A disk that can't be looked at will also fail the next commit, and that says why.
    }
  }

  /** Why no `bytes` may be added to `retainedBytes` now; null = they may. */
  refusal(retainedBytes: number, bytes: number): string | null {
    const wanted = retainedBytes + bytes;
    if (wanted > this.#maxBytes)
      return `its untrimmed blocks take ${retainedBytes} of stream.maxBytes = ${this.#maxBytes}`;
    if (this.#freeBytes - this.#bytesSincePoll - bytes >= this.#reserve()) return null;
    if (wanted + TRANSACTION_OVERHEAD_BYTES <= this.#fileBytes * usableShareOfFile) return null;
    return `its disk has ${this.#freeBytes} bytes free, ${this.#reserve()} are held in reserve`;
  }

  /** Counts bytes that were written since the last look. */
  appended(bytes: number): void {
    this.#bytesSincePoll += bytes;
  }

  status(retainedBytes: number): SpaceStatus {
    return {
      retainedBytes,
      maxBytes: this.#maxBytes,
      diskFreeBytes: this.#freeBytes,
      diskReserveBytes: this.#reserve(),
      fileBytes: this.#fileBytes,
    };
  }

  #reserve(): number {
    return Math.floor(Math.min(this.#reserveBytes, this.#totalBytes * reserveShareOfDisk));
  }
}

async function readDisk(
  folder: string,
): Promise<{ freeBytes: number; totalBytes: number; fileBytes: number }> {
  const { bavail, blocks, bsize } = await statfs(folder);
  const file = await open(streamFile(folder));
  try {
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, fileBytes: writtenBytesOf(file.fd) };
  } finally {
    await file.close();
  }
}
