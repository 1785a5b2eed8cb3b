import { createHash, randomUUID } from "node:crypto";
import { link, mkdir, readdir, rename, rm, stat, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { BridgeError } from "../../../errors.ts";
import { errorCode } from "../local/file-system.ts";
import type { CopyProgress, LocalCopies } from "../object-store.ts";
import type { S3Metrics } from "./s3-metrics.ts";

export interface CopyCacheOptions {
  /** Folder of kept copies, on the same file system as `useFolder`. Other processes may share it. */
  readonly folder: string;
  /** This process's own folder for the copies of each call. */
  readonly useFolder: string;
  readonly maxBytes: number;
  /** Distinguishes lakes that share the folder. */
  readonly lake: string;
  readonly metrics: S3Metrics;
  /**
   * Writes an object into a new, flushed local file and resolves with its size; null if there is no such
   * object.
   */
  readonly download: (path: string, localFile: string) => Promise<number | null>;
}

const downloadsAtOnce = 8;

/**
 * Copies of immutable objects. Each use gets its own folder with hard links to the kept files. So files that
 * this or another process drops stay with their users. The least recently used files are dropped first.
 */
export class CopyCache {
  readonly #options: CopyCacheOptions;

  constructor(options: CopyCacheOptions) {
    this.#options = options;
  }

  async copies(paths: readonly string[], onProgress?: CopyProgress): Promise<LocalCopies> {
    const folder = join(this.#options.useFolder, `copies-${randomUUID()}`);
    const locations = new Map(
      [...new Set(paths)].map((path, index) => [path, join(folder, `${index}.parquet`)]),
    );
    const release = () => rm(folder, { recursive: true, force: true }).catch(() => {});
    try {
      await mkdir(folder, { recursive: true });
      await mkdir(this.#options.folder, { recursive: true });
      await this.#fill(locations, onProgress);
      await this.#trim();
    } catch (error) {
      await release();
      throw error instanceof BridgeError ? error : diskError(error, this.#options.folder);
    }
    const location = (path: string): string => {
      const file = locations.get(path);
      if (file === undefined) throw new RangeError(`${path} was not asked for`);
      return file;
    };
    return { folder, location, release };
  }

  async #fill(locations: ReadonlyMap<string, string>, onProgress?: CopyProgress): Promise<void> {
    const waiting = [...locations];
    let files = 0;
    let bytes = 0;
    let isFailed = false;
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next && !isFailed; next = waiting.shift()) {
        bytes += await this.#provide(...next);
        onProgress?.({ files: ++files, bytes });
      }
    };
    const workers = Array.from({ length: Math.min(downloadsAtOnce, locations.size) }, () =>
      work().catch((error: unknown) => {
        isFailed = true;
        throw error;
      }),
    );
    const failed = (await Promise.allSettled(workers)).find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  /** Provides an object's bytes at `localFile`. Resolves with the number of downloaded bytes. */
  async #provide(path: string, localFile: string): Promise<number> {
    const kept = isImmutable(path) ? join(this.#options.folder, this.#keptName(path)) : null;
    if (kept !== null && (await takeLink(kept, localFile))) {
      this.#options.metrics.copied("cache", 0);
      return 0;
    }
    const part = `${localFile}.part`;
    const bytes = await this.#options.download(path, part);
    if (bytes === null)
      throw new BridgeError(
        "LAKE_DAMAGED",
        `${path} is missing in the lake although a table or commit names it`,
        {
          retryable: true,
          details: { path },
        },
      );
    await rename(part, localFile);
    this.#options.metrics.copied("download", bytes);
    if (kept !== null) await keepLink(localFile, kept);
    return bytes;
  }

  #keptName(path: string): string {
    return createHash("sha256").update(`${this.#options.lake}\0${path}`).digest("hex").slice(0, 40);
  }

  /**
   * Drops the least recently used files above the bound. Other processes may do the same at the same time.
   */
  async #trim(): Promise<void> {
    const { folder, maxBytes, metrics } = this.#options;
    const files = [];
    let total = 0;
    for (const name of await readdir(folder)) {
      const file = join(folder, name);
      const facts = await stat(file).catch(() => null);
      if (!facts?.isFile()) continue;
      total += facts.size;
      files.push({ file, bytes: facts.size, usedAtMs: facts.mtimeMs });
    }
    files.sort((left, right) => left.usedAtMs - right.usedAtMs);
    for (const { file, bytes } of files) {
      if (total <= maxBytes) break;
      await unlink(file).catch(() => {});
      total -= bytes;
    }
    metrics.cached(total);
  }
}

/**
 * Whether the name is never used twice. A checkpoint's name is not: another lake under the same URL would use
 * it again.
 */
function isImmutable(path: string): boolean {
  return /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}[^/]*\.parquet$/.test(path);
}

/** False if there is no such copy or it cannot be linked; then the object is downloaded. */
async function takeLink(kept: string, localFile: string): Promise<boolean> {
  try {
    await link(kept, localFile);
  } catch {
    return false;
  }
  const now = new Date();
  await utimes(localFile, now, now);
  return true;
}

/**
 * Ignores failures: another process may have kept the file meanwhile, and a file system without links keeps
 * nothing.
 */
async function keepLink(localFile: string, kept: string): Promise<void> {
  await link(localFile, kept).catch(() => {});
}

/** The error for a failure of the local disk. */
export function diskError(cause: unknown, folder: string): BridgeError {
  const code = errorCode(cause);
  const isFull = ["ENOSPC", "EDQUOT", "EMFILE", "ENFILE"].includes(code);
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BridgeError(
    isFull ? "STORE_FULL" : "STORE_UNAVAILABLE",
    `the folder ${folder} for files to and from S3 can't be used: ${why}${isFull ? "; free or add disk space" : ""}`,
    { retryable: true, cause, details: { code } },
  );
}
