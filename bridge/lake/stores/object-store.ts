export interface StoredObject {
  /** Path relative to the lake's root, with `/`. */
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

/** Objects as files on a local disk, for engines that read only files. Valid until `release`. */
export interface LocalCopies {
  /** Absolute path of the file with this object's bytes. */
  location(path: string): string;
  /** The folder that contains all files. */
  readonly folder: string;
  /** Ends the use and removes the copies. Never rejects. */
  release(): Promise<void>;
}

/** Progress of copying: files that are ready, and bytes downloaded for them. */
export type CopyProgress = (progress: { readonly files: number; readonly bytes: number }) => void;

/**
 * PORT: the lake's files. Every completed operation survives a power cut (data, name and folder entries).
 * Paths are relative to the lake's root, `/`-separated, without `..`. A failed flush is fatal
 * (STORE_FLUSH_FAILED, not retryable): a later successful flush proves nothing about those bytes.
 */
export interface ObjectStore {
  /** For messages to people: `file:/…` or `s3://…`. */
  readonly url: string;
  /** Null if there is no such object. */
  get(path: string): Promise<Uint8Array | null>;
  /** Creates or replaces an object atomically: readers see the old bytes or the new ones. */
  put(path: string, bytes: Uint8Array): Promise<void>;
  /**
   * Creates an object atomically, and never replaces one; among racing calls exactly one wins. After an
   * unknown outcome, the store reads the object back.
   */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<"created" | "exists">;
  /**
   * A folder on a local disk for files that `importFile` takes; if the lake is on a disk, on the same file
   * system.
   */
  readonly stagingFolder: string;
  /**
   * Moves a finished local file durably to `path`, a new and unique name. Resolves with its size. The local
   * file is gone afterwards.
   */
  importFile(localFile: string, path: string): Promise<{ bytes: number }>;
  /**
   * The objects as local files: the objects' own files if the lake is on this disk, otherwise copies. Rejects
   * with LAKE_DAMAGED if an object is missing, and with STORE_FULL if the disk is full.
   */
  localCopies(paths: readonly string[], onProgress?: CopyProgress): Promise<LocalCopies>;
  /** How many bytes one call of `localCopies` may copy at most; null if it copies nothing. */
  readonly copyMaxBytes: number | null;
  /**
   * Objects whose path starts with `prefix`, in lexicographic order. `after` skips paths up to and including
   * it.
   */
  list(prefix: string, options?: { after?: string }): AsyncIterable<StoredObject>;
  /** Idempotent. */
  delete(path: string): Promise<void>;
  /** Removes leftovers of unfinished imports that are older than 24 h. Resolves with their number. */
  removeLeftovers(): Promise<number>;
  /**
   * The present time by the clock that stamps objects (`modifiedAtMs`), ms since the epoch. Ages of objects
   * count by this clock only, because this machine's clock may be wrong.
   */
  now(): Promise<number>;
  /** Free bytes for new objects; null if the store has no such bound. */
  freeBytes(): Promise<number | null>;
}
