import { randomUUID } from "node:crypto";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { BridgeError } from "../../../errors.ts";
import { commitsFolder, stagedFolder, topicsFolder } from "../lake-folders.ts";
import { checkObjectPath } from "../object-path.ts";
import type { LocalCopies, ObjectStore, StoredObject } from "../object-store.ts";
import { DurableFolders } from "./durable-folders.ts";
import { absentAsNull, errorCode, type FileSystem, nodeFileSystem, type OpenFile } from "./file-system.ts";
import { Flushes } from "./flushes.ts";
import { localError } from "./local-error.ts";
import { ownStagingFolderName, removeStagingLeftovers } from "./staging-folder.ts";

/** Top folders of a lake whose content cannot be rebuilt. */
const truthFolders = new Set([commitsFolder, topicsFolder]);

/** Log entries of Delta tables, except the first. */
const laterLogEntry = /^[^/]+\/_delta_log\/(?!0+\.)\d+\.json$/;

/**
 * The lake in a local folder. To create an object: write a temporary file, flush it, link it to its name,
 * flush the folder. So a name never shows partial bytes, and completed operations survive a power cut. Reads
 * flush objects that another process may have left unflushed, so no process builds on an object that a power
 * cut may remove.
 */
class LocalStore implements ObjectStore {
  readonly url: string;
  readonly stagingFolder: string;
  readonly copyMaxBytes = null;
  readonly #root: string;
  readonly #files: FileSystem;
  readonly #isReadOnly: boolean;
  readonly #flushes: Flushes;
  readonly #folders: DurableFolders;

  /** @param readOnly Nothing is written into the lake. Readers that need room create and use this folder. */
  constructor(root: string, files: FileSystem, readOnly?: { readonly stagingFolder: string }) {
    this.url = pathToFileURL(root).href;
    this.#root = root;
    this.#files = files;
    this.#flushes = new Flushes(files);
    this.#folders = new DurableFolders(root, files, this.#flushes);
    this.#isReadOnly = readOnly !== undefined;
    this.stagingFolder = readOnly?.stagingFolder ?? join(root, stagedFolder, ownStagingFolderName());
  }

  async open(): Promise<this> {
    await this.#guard(async () => {
      await this.#folders.ensure(this.#root);
      await this.#folders.ensure(this.stagingFolder);
      await removeStagingLeftovers(this.#files, dirname(this.stagingFolder), basename(this.stagingFolder));
    });
    return this;
  }

  get(path: string): Promise<Uint8Array | null> {
    return this.#guard(async () => {
      const file = this.#locate(path);
      const bytes = await absentAsNull(this.#files.read(file));
      // A process that writes nothing need not flush.
      if (bytes !== null && !this.#isReadOnly) await this.#flushEntry(file);
      return bytes;
    });
  }

  put(path: string, bytes: Uint8Array): Promise<void> {
    return this.#writeInto(path, async (file) => {
      const temporary = await this.#writeTemporary(bytes);
      await this.#files.rename(temporary, file);
      await this.#flushes.flush(dirname(file));
    });
  }

  putIfAbsent(path: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    const create = async (file: string): Promise<"created" | "exists"> => {
      const temporary = await this.#writeTemporary(bytes);
      try {
        await this.#files.link(temporary, file);
      } catch (error) {
        if (errorCode(error) !== "EEXIST") throw error;
        await this.#flushes.flush(dirname(file));
        return "exists";
      } finally {
        await absentAsNull(this.#files.unlink(temporary));
      }
      await this.#flushes.flush(dirname(file));
      return "created";
    };
    return this.#writeInto(path, create, () => this.#refuseLostLog(path));
  }

  importFile(localFile: string, path: string): Promise<{ bytes: number }> {
    return this.#writeInto(path, async (file) => {
      await this.#flushes.flush(localFile);
      await this.#files.link(localFile, file);
      await this.#flushes.flush(dirname(file));
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
      if (wasThere) await this.#flushes.flush(dirname(file));
    });
  }

  async removeLeftovers(): Promise<number> {
    // Opening a store removes the folders of dead processes.
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
      .filter((entry) => start !== "" || entry.name !== stagedFolder)
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
    // A file that was deleted since its folder was read is not listed.
    if (facts !== null) yield { path, ...facts };
  }

  async #writeTemporary(bytes: Uint8Array): Promise<string> {
    const temporary = join(this.stagingFolder, randomUUID());
    const file = (await absentAsNull(this.#files.create(temporary))) ?? (await this.#createAgain(temporary));
    try {
      await file.write(bytes);
      await this.#flushes.flushOpen(file, temporary);
    } catch (error) {
      await absentAsNull(this.#files.unlink(temporary)).catch(() => null);
      throw error;
    } finally {
      await file.close();
    }
    return temporary;
  }

  /** Writes a file in its folder. Creates the folder if it is missing. */
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
        await this.#folders.ensure(folder);
        return await write(file);
      } catch (error) {
        if (errorCode(error) !== "ENOENT" || !(await this.#forgetTableFolder(path))) throw error;
        await check();
        await this.#folders.ensure(folder);
        return await write(file);
      }
    });
  }

  /**
   * If a table's folder was deleted, only that table is affected, so the folder is created again. Resolves
   * with false if the folder exists, or if the commit log or the whole lake is gone. Then nothing may be
   * created: a disk may not be mounted.
   */
  async #forgetTableFolder(path: string): Promise<boolean> {
    const [top = "", ...below] = path.split("/");
    if (below.length === 0 || truthFolders.has(top)) return false;
    const folder = dirname(this.#locate(path));
    if ((await absentAsNull(this.#files.stat(folder))) !== null) return false;
    this.#folders.forget(join(this.#root, top));
    return true;
  }

  /**
   * Throws LAKE_DAMAGED if the log's folder is gone. In a new folder, a later entry without the earlier ones
   * would be an unreadable log.
   */
  async #refuseLostLog(path: string): Promise<void> {
    if (!laterLogEntry.test(path)) return;
    const folder = dirname(this.#locate(path));
    if (this.#folders.has(folder) || (await absentAsNull(this.#files.stat(folder))) !== null) return;
    throw new BridgeError(
      "LAKE_DAMAGED",
      `${dirname(path)} in the lake was deleted while Tidegate wrote to it`,
      { retryable: false, details: { path: dirname(path) } },
    );
  }

  /** Another host has deleted the staging folder as that of a dead process. */
  async #createAgain(temporary: string): Promise<OpenFile> {
    this.#folders.forget(dirname(this.stagingFolder));
    await this.#folders.ensure(this.stagingFolder);
    return this.#files.create(temporary);
  }

  /**
   * Flushes the entries of a file and of the folders above it, because another process may have created the
   * object.
   */
  async #flushEntry(file: string): Promise<void> {
    await this.#folders.ensure(dirname(file));
    await this.#flushes.flush(dirname(file));
  }

  /** Translates the file system's errors. Refuses every call once a flush has failed. */
  async #guard<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#flushes.throwIfFailed();
    try {
      return await work();
    } catch (error) {
      throw localError(error, this.#root);
    }
  }

  async #guardWrite<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#isReadOnly) throw new TypeError(`${this.url} was opened for reading`);
    return await this.#guard(work);
  }
}

/** Opens a lake folder, and creates it if it is missing. Rejects with STORE_UNAVAILABLE or STORE_FULL. */
export function openLocalStore(folder: string, files: FileSystem = nodeFileSystem): Promise<ObjectStore> {
  return new LocalStore(resolve(folder), files).open();
}

/** A lake folder on a disk that this user may only read. */
export function openLocalStoreForReading(folder: string, stagingFolder: string): ObjectStore {
  return new LocalStore(resolve(folder), nodeFileSystem, { stagingFolder });
}
