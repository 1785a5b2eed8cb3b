import { open, statfs } from "node:fs/promises";
import { streamFile, writtenBytesOf } from "./stream-file.ts";

/** Upper bound of the bytes that a transaction writes besides its blocks: the pages of the tree. */
export const transactionOverheadBytes = 512 * 1024;

/** Share of the file that blocks can use. Blocks of different sizes leave gaps. */
export const usableShareOfFile = 0.75;
const reserveShareOfDisk = 0.1;
const pollMs = 1000;

export interface SpaceStatus {
  readonly retainedBytes: number;
  readonly maxBytes: number;
  readonly diskFreeBytes: number;
  /** Free space that stays reserved for trimming, commits and other uses of the disk. */
  readonly diskReserveBytes: number;
  /** Size of the stream's file up to lmdb's last page, free pages included. */
  readonly fileBytes: number;
}

/** Reads the state of the disk. A parameter, so that a test can simulate a full disk. */
export type ReadDisk = (
  folder: string,
) => Promise<{ freeBytes: number; totalBytes: number; fileBytes: number }>;

/**
 * Holds appends before the disk is full, by the bytes of untrimmed blocks and the disk's free space, polled
 * once a second. The file never shrinks, but trimmed blocks leave room in it. Below the reserve, appends that
 * fit into this room still pass.
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

  /** Reads the state of the disk. If that fails, the last state stays valid. */
  async poll(): Promise<void> {
    try {
      const { freeBytes, totalBytes, fileBytes } = await this.#readDisk(this.#folder);
      this.#freeBytes = freeBytes;
      this.#totalBytes = totalBytes;
      this.#fileBytes = fileBytes;
      this.#bytesSincePoll = 0;
    } catch {
      // If the disk can't be read, the next commit will fail too, and report why.
    }
  }

  /** Why `bytes` can't be added to `retainedBytes` now; null if they can. */
  refusal(retainedBytes: number, bytes: number): string | null {
    const wanted = retainedBytes + bytes;
    if (wanted > this.#maxBytes)
      return `its untrimmed blocks take ${retainedBytes} of stream.maxBytes = ${this.#maxBytes}`;
    if (this.#freeBytes - this.#bytesSincePoll - bytes >= this.#reserve()) return null;
    if (wanted + transactionOverheadBytes <= this.#fileBytes * usableShareOfFile) return null;
    return `its disk has ${this.#freeBytes} bytes free, and ${this.#reserve()} are reserved`;
  }

  /** Counts bytes that were written since the last poll. */
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
