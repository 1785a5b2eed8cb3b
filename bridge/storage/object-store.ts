export interface StoredObject {
  /** Path relative to the lake's root, with `/`. */
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

/**
 * PORT: the lake's files. Everything that resolved survives a power cut (data, name and folder entries).
 * Paths are relative to the lake's root, `/`-separated, without `..`.
 * A failed flush is fatal (STORE_FLUSH_FAILED, not retryable): what a later flush says about those bytes proves nothing.
 */
export interface ObjectStore {
  /** For messages to people: `file:/…` or `s3://…`. */
  readonly url: string;
  /** null where there is no such object. */
  get(path: string): Promise<Uint8Array | null>;
  /** Creates or replaces, atomically: readers see the old bytes or the new ones. */
  put(path: string, bytes: Uint8Array): Promise<void>;
  /** Creates, atomically and exactly once however many race; never replaces. Unknown outcomes are resolved by reading back. */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<"created" | "exists">;
  /** A folder on a local disk, on the store's own file system where there is one, for files that `importFile` will take. */
  readonly stagingFolder: string;
  /** Moves a finished local file to `path` (a fresh, unique name), durably. Returns its size. The local file is gone afterwards. */
  importFile(localFile: string, path: string): Promise<{ bytes: number }>;
  /** A location that DuckDB can read (`/abs/path` or `s3://…`). */
  readableLocation(path: string): string;
  /** Objects whose path starts with `prefix`, in lexicographic order; `after` skips paths up to and including it. */
  list(prefix: string, options?: { after?: string }): AsyncIterable<StoredObject>;
  /** Idempotent. */
  delete(path: string): Promise<void>;
  /** Free bytes for new objects, or null where the store has no such bound. */
  freeBytes(): Promise<number | null>;
}
