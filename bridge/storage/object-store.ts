export interface StoredObject {
  /** Path relative to the lake's root, with `/`. */
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

/** Objects as files on a local disk, for engines that read nothing else; theirs until `release`. */
export interface LocalCopies {
  /** Absolute path of the file with this object's bytes. */
  location(path: string): string;
  /** The folder below which they all are. */
  readonly folder: string;
  /** Ends their use; whatever was copied for it goes away. Never rejects. */
  release(): Promise<void>;
}

/** How far the copying is: files that are there, and bytes that were downloaded for them. */
export type CopyProgress = (progress: { readonly files: number; readonly bytes: number }) => void;

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
  /**
   * The objects as local files: themselves where the lake is on this disk, else copies.
   * Rejects with LAKE_DAMAGED where one of them is not there, and with STORE_FULL where this disk has no room.
   */
  localCopies(paths: readonly string[], onProgress?: CopyProgress): Promise<LocalCopies>;
  /** null = `localCopies` copies nothing; else how many bytes one call should ask for at most. */
  readonly copyMaxBytes: number | null;
  /** Objects whose path starts with `prefix`, in lexicographic order; `after` skips paths up to and including it. */
  list(prefix: string, options?: { after?: string }): AsyncIterable<StoredObject>;
  /** Idempotent. */
  delete(path: string): Promise<void>;
  /** Removes what imports that never ended left behind more than 24 h ago; returns how many there were. */
  removeLeftovers(): Promise<number>;
  /**
   * The present by the clock that stamps objects (`modifiedAtMs`), ms since the epoch: what an object written now would be stamped with.
   * Ages of objects are counted by this clock alone, for this machine's may be any other.
   */
  now(): Promise<number>;
  /** Free bytes for new objects, or null where the store has no such bound. */
  freeBytes(): Promise<number | null>;
}
