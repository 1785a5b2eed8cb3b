import { BridgeError } from "../../../errors.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";

/** Flushes files and folders of one store. Once a flush has failed, the store must not be used any more. */
export class Flushes {
  readonly #files: FileSystem;
  #failure: BridgeError | undefined;

  constructor(files: FileSystem) {
    this.#files = files;
  }

  /** Throws STORE_FLUSH_FAILED if a flush has failed before. */
  throwIfFailed(): void {
    if (this.#failure) throw this.#failure;
  }

  async flush(path: string): Promise<void> {
    const file = await this.#files.open(path);
    try {
      await this.flushOpen(file, path);
    } finally {
      await file.close();
    }
  }

  async flushOpen(file: Pick<OpenFile, "flush">, path: string): Promise<void> {
    try {
      await file.flush();
    } catch (cause) {
      this.#failure ??= new BridgeError(
        "STORE_FLUSH_FAILED",
        `the disk refused to flush ${path}, so the file's content on the disk is unknown and this process must stop. Check the disk, then start again`,
        { retryable: false, cause },
      );
      throw this.#failure;
    }
  }
}
