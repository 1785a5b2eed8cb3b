import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Errors of a flush of a folder that belongs to another user, or lies on a read-only disk. */
const deniedCodes = new Set(["EACCES", "EPERM", "EROFS"]);

/**
 * Makes a folder and its missing parents so that they survive a power cut. Node's own `recursive` does not
 * flush: if the name of a parent is lost, all flushed files below it are lost as well [fsync(2)].
 *
 * Folders are made from the top, and each is flushed before the next. The lowest folder that exists may lack
 * its flush, because its maker may have died. It is flushed as well, if this user may. Throws Node's errors.
 */
export function makeFolderDurably(folder: string, options: { readonly mode?: number } = {}): void {
  const path = resolve(folder);
  const above = dirname(path);
  const isThere = existsSync(path);
  if (!isThere) {
    makeFolderDurably(above, options);
    // `recursive`, so that a folder that another process has made meanwhile is no error.
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
