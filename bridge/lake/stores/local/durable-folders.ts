import { dirname, sep } from "node:path";
import { absentAsNull, errorCode, type FileSystem } from "./file-system.ts";
import type { Flushes } from "./flushes.ts";

/** Node's codes for a folder that this user may not open. */
const deniedCodes = new Set(["EACCES", "EPERM"]);

/** Creates folders, and knows those whose own entry, and those of all folders above, are on the disk. */
export class DurableFolders {
  readonly #root: string;
  readonly #files: FileSystem;
  readonly #flushes: Flushes;
  readonly #known = new Set<string>();

  constructor(root: string, files: FileSystem, flushes: Flushes) {
    this.#root = root;
    this.#files = files;
    this.#flushes = flushes;
  }

  has(folder: string): boolean {
    return this.#known.has(folder);
  }

  /** Call it if the folder, with all folders below it, was deleted. */
  forget(folder: string): void {
    for (const known of this.#known)
      if (known === folder || known.startsWith(`${folder}${sep}`)) this.#known.delete(known);
  }

  /** Creates the folder and missing folders above it, and flushes each new entry. */
  async ensure(folder: string): Promise<void> {
    if (this.#known.has(folder)) return;
    const above = dirname(folder);
    if (folder !== this.#root && above !== folder) await this.ensure(above);
    else if (folder === this.#root) await this.#ensureAboveRoot(above);
    await this.#make(folder);
    // Flush also if the folder existed: its creator may have died before its own flush.
    await this.#flushes.flush(above);
    this.#known.add(folder);
  }

  /**
   * Creates missing folders above the lake from the top, each flushed before the next. The lowest existing
   * folder may lack its flush, because its creator may have died. It is flushed if this user may open the
   * folder above it.
   */
  async #ensureAboveRoot(folder: string): Promise<void> {
    const above = dirname(folder);
    if ((await absentAsNull(this.#files.stat(folder))) !== null) {
      await this.#flushes.flush(above).catch((error: unknown) => {
        if (!deniedCodes.has(errorCode(error))) throw error;
      });
      return;
    }
    await this.#ensureAboveRoot(above);
    await this.#make(folder);
    await this.#flushes.flush(above);
  }

  async #make(folder: string): Promise<void> {
    try {
      await this.#files.makeFolder(folder);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
  }
}
