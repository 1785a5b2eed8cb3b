import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** What a user may get who asks to flush a folder that belongs to somebody else, or lies on a disk that can't be written. */
const deniedCodes = new Set(["EACCES", "EPERM", "EROFS"]);

/**
 * Makes a folder, and those above it as far as they are missing; afterwards a power cut takes none of them away. Node's own `recursive`
 * does not flush: all that was flushed inside would be gone with the name of a folder above it [fsync(2)].
 *
 * Folders are made from the top, each flushed before the next. Of those that exist the lowest one may lack its flush, since its maker may
 * have died: it is flushed as well, if this user may. Throws Node's errors.
 */
export function makeFolderDurably(folder: string, options: { readonly mode?: number } = {}): void {
  const path = resolve(folder);
  const above = dirname(path);
  const isThere = existsSync(path);
  if (!isThere) {
    makeFolderDurably(above, options);
    // `recursive`, so that one that another process has made meanwhile is no error.
    mkdirSync(path, { ...options, recursive: true });
  }
  try {
    syncEntry(above);
  } catch (error) {
    if (!isThere || !deniedCodes.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** Flushes a file, or the names in a folder. */
export function syncEntry(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
