import { constants, fstatSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { streamFile, writtenBytesOf } from "./stream-file.ts";

const outOfSpace = new Set(["ENOSPC", "EDQUOT"]);
const pieceBytes = 1024 * 1024;
const zeros = Buffer.alloc(pieceBytes);
/** Unit of `st_blocks` [stat(2)]. */
const statBlockBytes = 512;

export interface Room {
  /** Bytes after what lmdb has written that are on the disk already: it can grow by so much whatever the disk has left. */
  readonly roomBytes: number;
  /** Bytes of the file that lmdb has written so far, pages that are free again included. */
  readonly writtenBytes: number;
}

/** How long a file is, and how much of it lies on the disk; a parameter so that a test can have a file system that stores no zeros. */
export type ReadSize = (descriptor: number) => { readonly size: number; readonly blocks: number };

/**
 * Room at the end of the stream's file, written as zeros before lmdb needs it, so that a full disk is met by a write of ours and never by
 * one of lmdb's: lmdb-js 3.5.6 puts the error of a write that finds no space into 100 bytes of heap, which its text may not fit into.
 *
 * The file is only ever made longer, and only by writes that the kernel puts after its last byte [O_APPEND, open(2)]. So a process that
 * was paused on the way to such a write, and lost the stream meanwhile, can't change a byte that the new owner has written.
 */
export class FileRoom {
  readonly #file: FileHandle;
  readonly #readSize: ReadSize;
  /** False on a file system that does not store zeros: how much of a file lies on its disk says nothing there. */
  #isStored = true;

  private constructor(file: FileHandle, readSize: ReadSize) {
    this.#file = file;
    this.#readSize = readSize;
  }

  static async open(folder: string, readSize: ReadSize = fstatSync): Promise<FileRoom> {
    return new FileRoom(await open(streamFile(folder), constants.O_RDWR | constants.O_APPEND), readSize);
  }

  /** Makes room for that many bytes, as far as the disk has it. Only while no transaction is under way. Other failures reject. */
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

  /** Holes in the file, as a copy may have them, still need space: as much is taken to be missing from the room. */
  #roomAfter(writtenBytes: number): number {
    const { size, blocks } = this.#readSize(this.#file.fd);
    const holeBytes = this.#isStored ? Math.max(0, size - blocks * statBlockBytes) : 0;
    return size - writtenBytes - holeBytes;
  }
}
