import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BridgeError } from "../../bridge/errors.ts";
import { checkObjectPath } from "../../bridge/lake/stores/object-path.ts";
import type {
  CopyProgress,
  LocalCopies,
  ObjectStore,
  StoredObject,
} from "../../bridge/lake/stores/object-store.ts";

export type StoreOperation = "get" | "now" | "put" | "putIfAbsent" | "importFile" | "list" | "delete";

/**
 * The fate of a call: `null` = it works; `before` = it fails without effect; `after` = it takes effect, but
 * its answer is lost (unknown outcome); an Error = it fails with this error, without effect. A promise delays
 * the call until it settles.
 */
export type StoreFault = null | "before" | "after" | Error;

/** The change of a call to the objects; a deleted object is shown with its old content. */
export interface StoreChange {
  readonly operation: "created" | "replaced" | "deleted";
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly modifiedAtMs: number;
}

export interface MemoryStoreOptions {
  /** Asked before each call. */
  readonly fault?: (operation: StoreOperation, path: string) => StoreFault | Promise<StoreFault>;
  readonly now?: () => number;
  /** Called for each change, in order. */
  readonly observe?: (change: StoreChange) => void;
  /** Objects that another opening of the same "bucket" shares; see `objects`. */
  readonly objects?: Map<string, { bytes: Uint8Array; modifiedAtMs: number }>;
}

function unavailable(operation: StoreOperation, path: string): BridgeError {
  return new BridgeError("STORE_UNAVAILABLE", `injected: ${operation} ${path}`, { retryable: true });
}

/**
 * An object store in memory with injectable faults. Two of them over one `objects` map are two processes on
 * one lake.
 */
export class MemoryObjectStore implements ObjectStore {
  readonly url = "s3://memory";
  readonly copyMaxBytes = 2 ** 30;
  readonly objects: Map<string, { bytes: Uint8Array; modifiedAtMs: number }>;
  readonly #options: MemoryStoreOptions;
  #folder: string | undefined;

  constructor(options: MemoryStoreOptions = {}) {
    this.#options = options;
    this.objects = options.objects ?? new Map();
  }

  /** Made on first use; call `close` to remove it. */
  get stagingFolder(): string {
    this.#folder ??= mkdtempSync(join(tmpdir(), "tidegate-memory-store-"));
    return this.#folder;
  }

  close(): void {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  get(path: string): Promise<Uint8Array | null> {
    return this.#call("get", path, () => {
      const object = this.objects.get(path);
      return object ? Uint8Array.from(object.bytes) : null;
    });
  }

  put(path: string, bytes: Uint8Array): Promise<void> {
    return this.#call("put", path, () => this.#set(path, bytes));
  }

  putIfAbsent(path: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    return this.#call("putIfAbsent", path, () => {
      if (this.objects.has(path)) return "exists";
      this.#set(path, bytes);
      return "created";
    });
  }

  importFile(localFile: string, path: string): Promise<{ bytes: number }> {
    return this.#call("importFile", path, () => {
      const bytes = readFileSync(localFile);
      this.#set(path, bytes);
      rmSync(localFile);
      return { bytes: bytes.length };
    });
  }

  async localCopies(paths: readonly string[], onProgress?: CopyProgress): Promise<LocalCopies> {
    const folder = mkdtempSync(join(this.stagingFolder, "copies-"));
    const location = (path: string) => join(folder, String(paths.indexOf(path)));
    const release = async () => rmSync(folder, { recursive: true, force: true });
    for (const path of paths) {
      const bytes = await this.get(path);
      if (bytes !== null) {
        writeFileSync(location(path), bytes);
        onProgress?.({ files: paths.indexOf(path) + 1, bytes: bytes.length });
        continue;
      }
      await release();
      throw new BridgeError("LAKE_DAMAGED", `${path} is not there`, { retryable: false });
    }
    return { location, folder, release };
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<StoredObject> {
    const paths = await this.#call("list", prefix, () =>
      [...this.objects.keys()]
        .filter((path) => path.startsWith(prefix) && path > (options.after ?? ""))
        .sort(),
    );
    for (const path of paths) {
      const object = this.objects.get(path);
      if (object) yield { path, bytes: object.bytes.length, modifiedAtMs: object.modifiedAtMs };
    }
  }

  delete(path: string): Promise<void> {
    return this.#call("delete", path, () => {
      const object = this.objects.get(path);
      this.objects.delete(path);
      if (object) this.#options.observe?.({ operation: "deleted", path, ...object });
    });
  }

  async removeLeftovers(): Promise<number> {
    return 0;
  }

  now(): Promise<number> {
    return this.#call("now", "", () => this.#nowMs());
  }

  async freeBytes(): Promise<null> {
    return null;
  }

  #nowMs(): number {
    return (this.#options.now ?? Date.now)();
  }

  #set(path: string, bytes: Uint8Array): void {
    const modifiedAtMs = this.#nowMs();
    const operation = this.objects.has(path) ? "replaced" : "created";
    this.objects.set(path, { bytes: Uint8Array.from(bytes), modifiedAtMs });
    this.#options.observe?.({ operation, path, bytes, modifiedAtMs });
  }

  async #call<Result>(operation: StoreOperation, path: string, work: () => Result): Promise<Result> {
    if (operation !== "list" && operation !== "now") checkObjectPath(path);
    const fault = (await this.#options.fault?.(operation, path)) ?? null;
    if (fault instanceof Error) throw fault;
    if (fault === "before") throw unavailable(operation, path);
    const result = work();
    if (fault === "after") throw unavailable(operation, path);
    return result;
  }
}
