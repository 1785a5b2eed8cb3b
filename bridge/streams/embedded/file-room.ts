import { type FileHandle, open } from "node:fs/promises";
import { streamFile, writtenBytesOf } from "./stream-file.ts";

const outOfSpace = new Set(["ENOSPC", "EDQUOT"]);
const pieceBytes = 1024 * 1024;
const zeros = Buffer.alloc(pieceBytes);

export interface Room {
  /** Bytes behind what lmdb has written that are on the disk already: it can grow by so much whatever the disk has left. */
  readonly roomBytes: number;
  /** Bytes of the file that lmdb has written so far, pages that are free again included. */
  readonly writtenBytes: number;
}

/**
 * Room at the end of the stream's file, written as zeros before lmdb needs it, so that a full disk is met by a write of ours and never by
 * one of lmdb's: lmdb-js 3.5.6 puts the error of a write that finds no space into 100 bytes of heap, which its text may not fit into.
 */
export class FileRoom {
  readonly #file: FileHandle;
  #end = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async open(folder: string): Promise<FileRoom> {
    return new FileRoom(await open(streamFile(folder), "r+"));
  }

  /** Makes room for that many bytes, as far as the disk has it. Only while no transaction is under way. Other failures reject. */
  async ensure(bytes: number): Promise<Room> {
    const writtenBytes = writtenBytesOf(this.#file.fd);
    this.#end = Math.max(this.#end, writtenBytes);
    try {
      while (this.#end - writtenBytes < bytes) {
        const { bytesWritten } = await this.#file.write(zeros, 0, pieceBytes, this.#end);
        this.#end += bytesWritten;
      }
    } catch (error) {
      const isFull = error instanceof Error && "code" in error && outOfSpace.has(String(error.code));
      if (!isFull) throw error;
    }
    return { roomBytes: this.#end - writtenBytes, writtenBytes };
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
