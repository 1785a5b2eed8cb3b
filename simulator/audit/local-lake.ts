import { statSync } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { LakeFile, LakeFiles } from "./lake-files.ts";

/** A lake on a disk of this machine. */
export class LocalLake implements LakeFiles {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Returns the fault if the folder cannot be opened. */
  static open(folder: string): LocalLake | string {
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return new LocalLake(folder);
    return `there is no folder ${resolve(folder)}: tidegate status shows the place of the lake`;
  }

  list(folder: string): Promise<string[]> {
    return readdir(join(this.#folder, folder)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
      throw error;
    });
  }

  async modifiedAtMs(path: string): Promise<number | null> {
    const stats = await stat(join(this.#folder, path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return null;
      throw error;
    });
    return stats?.mtimeMs ?? null;
  }

  async open(path: string): Promise<LakeFile | null> {
    try {
      const handle = await open(join(this.#folder, path));
      return new LocalFile(handle, (await handle.stat()).size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }
}

class LocalFile implements LakeFile {
  readonly bytes: number;
  readonly #handle: FileHandle;

  constructor(handle: FileHandle, bytes: number) {
    this.#handle = handle;
    this.bytes = bytes;
  }

  async slice(start: number, end: number): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(new ArrayBuffer(end - start));
    for (let filled = 0; filled < bytes.length; ) {
      const { bytesRead } = await this.#handle.read(bytes, filled, bytes.length - filled, start + filled);
      if (bytesRead === 0) throw new Error(`it ends at byte ${start + filled}, before byte ${end}`);
      filled += bytesRead;
    }
    return bytes.buffer;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
