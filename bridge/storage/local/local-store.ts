import { randomUUID } from "node:crypto";
import { basename, dirname, join, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { BridgeError } from "../../errors.ts";
import { COMMITS } from "../lake-format.ts";
import { checkObjectPath, STAGING } from "../object-path.ts";
import type { LocalCopies, ObjectStore, StoredObject } from "../object-store.ts";
import { errorCode, type FileSystem, nodeFileSystem, type OpenFile } from "./file-system.ts";
import { ownStagingFolderName, removeStagingLeftovers } from "./staging-folder.ts";

/** Node's codes for a disk, quota or file table that has no room. */
const fullCodes = new Set(["ENOSPC", "EDQUOT", "EMFILE", "ENFILE"]);

/** Node's codes for `link` where the file system can't do that. */
const linklessCodes = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

/** At the top of a lake: what these hold can't be made again. */
const truthFolders = new Set([COMMITS, "_topics"]);

/** Node's codes for a folder that this user may not open. */
const deniedCodes = new Set(["EACCES", "EPERM"]);

function isOfLink(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && error.syscall === "link";
}

/**
 * The lake on a local folder. Create = temporary file, write, flush, link to the name, flush the folder: a name never shows a part of
 * its bytes, and whatever resolved survives a power cut. What another process left unflushed is flushed before it is answered, so
 * nobody builds on an object that a power cut may still take away.
 */
/** Commit entries of Delta tables but the first one. */
const laterLogEntry = /^[^/]+\/_delta_log\/(?!0+\.)\d+\.json$/;

class LocalStore implements ObjectStore {
  readonly url: string;
  readonly stagingFolder: string;
  readonly copyMaxBytes = null;
  readonly #root: string;
  readonly #files: FileSystem;
  readonly #isReadOnly: boolean;
  /** Folders whose own entry, and those of all folders above, are known to be on the disk. */
  readonly #durableFolders = new Set<string>();
  #flushFailure: BridgeError | undefined;

  /** @param readOnly Nothing is written into the lake; what readers need room for goes into this folder, made by whoever needs it. */
  constructor(root: string, files: FileSystem, readOnly?: { readonly stagingFolder: string }) {
    this.url = pathToFileURL(root).href;
    this.#root = root;
    this.#files = files;
    this.#isReadOnly = readOnly !== undefined;
    this.stagingFolder = readOnly?.stagingFolder ?? join(root, STAGING, ownStagingFolderName());
  }

  async open(): Promise<this> {
    await this.#guard(async () => {
      await this.#ensureFolder(this.#root);
      await this.#ensureFolder(this.stagingFolder);
      await removeStagingLeftovers(this.#files, dirname(this.stagingFolder), basename(this.stagingFolder));
    });
    return this;
  }

  get(path: string): Promise<Uint8Array | null> {
    return this.#guard(async () => {
      const file = this.#locate(path);
      const bytes = await absentAsNull(this.#files.read(file));
      // Who writes nothing builds on nothing.
      if (bytes !== null && !this.#isReadOnly) await this.#flushEntry(file);
      return bytes;
    });
  }

  put(path: string, bytes: Uint8Array): Promise<void> {
    return this.#writeInto(path, async (file) => {
      const temporary = await this.#writeTemporary(bytes);
      await this.#files.rename(temporary, file);
      await this.#flush(dirname(file));
    });
  }

  putIfAbsent(path: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    const create = async (file: string): Promise<"created" | "exists"> => {
      const temporary = await this.#writeTemporary(bytes);
      try {
        await this.#files.link(temporary, file);
      } catch (error) {
        if (errorCode(error) !== "EEXIST") throw error;
        await this.#flush(dirname(file));
        return "exists";
      } finally {
        await absentAsNull(this.#files.unlink(temporary));
      }
      await this.#flush(dirname(file));
      return "created";
    };
    return this.#writeInto(path, create, () => this.#refuseLostLog(path));
  }

  importFile(localFile: string, path: string): Promise<{ bytes: number }> {
    return this.#writeInto(path, async (file) => {
      await this.#flush(localFile);
      await this.#files.link(localFile, file);
      await this.#flush(dirname(file));
      await this.#files.unlink(localFile);
      const { bytes } = await this.#files.stat(file);
      return { bytes };
    });
  }

  async localCopies(): Promise<LocalCopies> {
    return {
      location: (path) => this.#locate(path),
      folder: this.#root,
      release: async () => {},
    };
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<StoredObject> {
    const folder = prefix.includes("/") ? prefix.slice(0, prefix.lastIndexOf("/")) : "";
    if (folder !== "") this.#locate(folder);
    yield* this.#listFolder(folder, prefix, options.after ?? "");
  }

  delete(path: string): Promise<void> {
    return this.#guardWrite(async () => {
      const file = this.#locate(path);
      const wasThere = (await absentAsNull(this.#files.unlink(file))) !== null;
      if (wasThere) await this.#flush(dirname(file));
    });
  }

  async removeLeftovers(): Promise<number> {
    // Dead processes' folders go when a store is opened.
    return 0;
  }

  now(): Promise<number> {
    return this.#guardWrite(async () => {
      const temporary = await this.#writeTemporary(new Uint8Array(0));
      const { modifiedAtMs } = await this.#files.stat(temporary);
      await absentAsNull(this.#files.unlink(temporary));
      return modifiedAtMs;
    });
  }

  freeBytes(): Promise<number> {
    return this.#guard(() => this.#files.freeBytes(this.#root));
  }

  #locate(path: string): string {
    checkObjectPath(path);
    return join(this.#root, path);
  }

  async *#listFolder(folder: string, prefix: string, after: string): AsyncGenerator<StoredObject> {
    const entries = await this.#guard(() => absentAsNull(this.#files.readFolder(join(this.#root, folder))));
    const start = folder === "" ? "" : `${folder}/`;
    const paths = (entries ?? [])
      .filter((entry) => start !== "" || entry.name !== STAGING)
      .map((entry) => (entry.isFolder ? `${start}${entry.name}/` : `${start}${entry.name}`))
      .sort();
    for (const path of paths) {
      const isFolder = path.endsWith("/");
      const overlaps = path.startsWith(prefix) || (isFolder && prefix.startsWith(path));
      if (!overlaps || (path <= after && !after.startsWith(path))) continue;
      if (isFolder) yield* this.#listFolder(path.slice(0, -1), prefix, after);
      else if (path > after) yield* this.#describe(path);
    }
  }

  async *#describe(path: string): AsyncGenerator<StoredObject> {
    const facts = await this.#guard(() => absentAsNull(this.#files.stat(join(this.#root, path))));
    // A file that went away since its folder was read is not listed.
    if (facts !== null) yield { path, ...facts };
  }

  async #writeTemporary(bytes: Uint8Array): Promise<string> {
    const temporary = join(this.stagingFolder, randomUUID());
    const file = (await absentAsNull(this.#files.create(temporary))) ?? (await this.#createAgain(temporary));
    try {
      await file.write(bytes);
      await this.#flushOpen(file, temporary);
    } catch (error) {
      await absentAsNull(this.#files.unlink(temporary)).catch(() => null);
      throw error;
    } finally {
      await file.close();
    }
    return temporary;
  }

  /** Writes a file in its folder, which is made where it is missing. */
  #writeInto<Result>(
    path: string,
    write: (file: string) => Promise<Result>,
    check: () => Promise<void> = async () => {},
  ): Promise<Result> {
    return this.#guardWrite(async () => {
      const file = this.#locate(path);
      const folder = dirname(file);
      await check();
      try {
        await this.#ensureFolder(folder);
        return await write(file);
      } catch (error) {
        if (errorCode(error) !== "ENOENT" || !(await this.#forgetTableFolder(path))) throw error;
        await check();
        await this.#ensureFolder(folder);
        return await write(file);
      }
    });
  }

  /**
   * A table's folder that was taken away concerns its table alone: it is made again. False where nothing may be made again: the folder is
   * there, or the commit log or the whole lake is gone, such as with a disk that is not mounted.
   */
  async #forgetTableFolder(path: string): Promise<boolean> {
    const [top = "", ...below] = path.split("/");
    if (below.length === 0 || truthFolders.has(top)) return false;
    const folder = dirname(this.#locate(path));
    if ((await absentAsNull(this.#files.stat(folder))) !== null) return false;
    const table = join(this.#root, top);
    for (const known of this.#durableFolders)
      if (known === table || known.startsWith(`${table}${sep}`)) this.#durableFolders.delete(known);
    return true;
  }

  /** A later entry alone in a new folder would be a log that no reader can read: the folder was taken away with the earlier ones. */
  async #refuseLostLog(path: string): Promise<void> {
    if (!laterLogEntry.test(path)) return;
    const folder = dirname(this.#locate(path));
    if (this.#durableFolders.has(folder) || (await absentAsNull(this.#files.stat(folder))) !== null) return;
    throw new BridgeError(
      "LAKE_DAMAGED",
      `${dirname(path)} in the lake was taken away while it was written`,
      { retryable: false, details: { path: dirname(path) } },
    );
  }

  /** After another host took the staging folder for one of a dead process. */
  async #createAgain(temporary: string): Promise<OpenFile> {
    this.#durableFolders.delete(this.stagingFolder);
    this.#durableFolders.delete(dirname(this.stagingFolder));
    await this.#ensureFolder(this.stagingFolder);
    return this.#files.create(temporary);
  }

  /** Makes the folder and those above it, as far as they are missing, and flushes each new entry. */
  async #ensureFolder(folder: string): Promise<void> {
    if (this.#durableFolders.has(folder)) return;
    const above = dirname(folder);
    if (folder !== this.#root && above !== folder) await this.#ensureFolder(above);
    else if (folder === this.#root) await this.#ensureFolderAboveRoot(above);
    await this.#makeFolder(folder);
    // Also where it existed: its maker may have died before its own flush.
    await this.#flush(above);
    this.#durableFolders.add(folder);
  }

  /**
   * Folders above the lake are made where they are missing, from the top, each flushed before the next. Of those that exist the lowest one
   * may lack its flush: its maker may have died. It is flushed if this user may open the folder above it.
   */
  async #ensureFolderAboveRoot(folder: string): Promise<void> {
    const above = dirname(folder);
    if ((await absentAsNull(this.#files.stat(folder))) !== null) {
      await this.#flush(above).catch((error: unknown) => {
        if (!deniedCodes.has(errorCode(error))) throw error;
      });
      return;
    }
    await this.#ensureFolderAboveRoot(above);
    await this.#makeFolder(folder);
    await this.#flush(above);
  }

  async #makeFolder(folder: string): Promise<void> {
    try {
      await this.#files.makeFolder(folder);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
  }

  /** Flushes the entries of a file and of the folders above it, for an object that another process may have made. */
  async #flushEntry(file: string): Promise<void> {
    await this.#ensureFolder(dirname(file));
    await this.#flush(dirname(file));
  }

  async #flush(path: string): Promise<void> {
    const file = await this.#files.open(path);
    try {
      await this.#flushOpen(file, path);
    } finally {
      await file.close();
    }
  }

  async #flushOpen(file: { flush(): Promise<void> }, path: string): Promise<void> {
    try {
      await file.flush();
    } catch (cause) {
      this.#flushFailure ??= new BridgeError(
        "STORE_FLUSH_FAILED",
        `the disk refused to flush ${path}; what it holds is unknown, so this process must stop. Check the disk and start again`,
        { retryable: false, cause },
      );
      throw this.#flushFailure;
    }
  }

  /** Translates the file system's errors, and refuses everything once a flush has failed. */
  async #guard<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#flushFailure) throw this.#flushFailure;
    try {
      return await work();
    } catch (error) {
      throw this.#translate(error);
    }
  }

  async #guardWrite<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#isReadOnly) throw new TypeError(`${this.url} was opened for reading`);
    return await this.#guard(work);
  }

  #translate(cause: unknown): BridgeError {
    if (cause instanceof BridgeError) return cause;
    const code = errorCode(cause);
    if (fullCodes.has(code))
      return new BridgeError("STORE_FULL", `no room in ${this.#root} (${code}); free or add disk space`, {
        retryable: true,
        cause,
        details: { code },
      });
    if (linklessCodes.has(code) && isOfLink(cause))
      return new BridgeError(
        "STORE_UNAVAILABLE",
        `the file system of ${this.#root} has no hard links (${code}), without which nothing can be created exactly once; use another`,
        { retryable: false, cause, details: { code } },
      );
    const why = cause instanceof Error ? cause.message : String(cause);
    return new BridgeError("STORE_UNAVAILABLE", `the lake in ${this.#root} can't be used: ${why}`, {
      retryable: true,
      cause,
      details: { code },
    });
  }
}

async function absentAsNull<Result>(work: Promise<Result>): Promise<Result | null> {
  try {
    return await work;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return null;
    throw error;
  }
}

/** Opens (and creates, where it is missing) a lake folder. Rejects with STORE_UNAVAILABLE or STORE_FULL where that is impossible. */
export function openLocalStore(folder: string, files: FileSystem = nodeFileSystem): Promise<ObjectStore> {
  return new LocalStore(resolve(folder), files).open();
}

/** A lake folder that may be on a disk which this user can only read. */
export function openLocalStoreForReading(folder: string, stagingFolder: string): ObjectStore {
  return new LocalStore(resolve(folder), nodeFileSystem, { stagingFolder });
}
