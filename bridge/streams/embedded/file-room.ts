import { constants, fstatSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { streamFile, writtenBytesOf } from "./stream-file.ts";

const outOfSpace = new Set(["ENOSPC", "EDQUOT"]);
const pieceBytes = 1024 * 1024;
const zeros = Buffer.alloc(pieceBytes);
/** Unit of `st_blocks` [stat(2)]. */
const statBlockBytes = 512;

export interface Room {
  /**
   * Bytes of the file after lmdb's last page that are already on the disk. lmdb can use them even if the
   * disk is full.
   */
  readonly roomBytes: number;
  /** Bytes of the file up to lmdb's last page, free pages included. */
  readonly writtenBytes: number;
}

/**
 * Reads the size of a file and its blocks on the disk. A parameter, so that a test can simulate a file
 * system that stores no zeros.
 */
export type ReadSize = (descriptor: number) => { readonly size: number; readonly blocks: number };

/**
 * Room at the end of the stream's file, written as zeros before lmdb needs it. On a full disk, our write
 * then fails and not lmdb's. That matters because lmdb-js 3.5.6 writes the error text of such a write into
 * 100 bytes of heap, and the text may be longer.
 *
 * The file only grows, and only by writes that the kernel appends after its last byte [O_APPEND, open(2)]. A
 * process may be paused before such a write and lose the stream to a new owner. Its write then changes no
 * byte of the new owner.
 */
export class FileRoom {
  readonly #file: FileHandle;
  readonly #readSize: ReadSize;
  /**
   * False on a file system that does not store zeros. There, the number of blocks on the disk tells nothing.
   */
  #isStored = true;

  private constructor(file: FileHandle, readSize: ReadSize) {
    this.#file = file;
    this.#readSize = readSize;
  }

  static async open(folder: string, readSize: ReadSize = fstatSync): Promise<FileRoom> {
    return new FileRoom(await open(streamFile(folder), constants.O_RDWR | constants.O_APPEND), readSize);
  }

  /**
   * Makes room for that many bytes, or less if the disk is full. Call this only while no transaction runs.
   * Other failures reject.
   */
  async ensure(bytes: number): Promise<Room> {
    const writtenBytes = writtenBytesOf(this.#file.fd);
    let roomBytes = this.#roomAfter(writtenBytes);
    try {
      while (roomBytes < bytes) {
        await this.#file.write(zeros, 0, pieceBytes, null);
        if (this.#roomAfter(writtenBytes) <= roomBytes) this.#isStored = false;
        roomBytes = this.#roomAfter(writtenBytes);
      }
    } catch (error) {
      const isFull = error instanceof Error && "code" in error && outOfSpace.has(String(error.code));
      if (!isFull) throw error;
    }
    return { roomBytes, writtenBytes };
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /**
   * Holes in the file, as in a sparse copy, still need space on the disk, so they are subtracted from the
   * room.
   */
  #roomAfter(writtenBytes: number): number {
    const { size, blocks } = this.#readSize(this.#file.fd);
    const holeBytes = this.#isStored ? Math.max(0, size - blocks * statBlockBytes) : 0;
    return size - writtenBytes - holeBytes;
  }
}
