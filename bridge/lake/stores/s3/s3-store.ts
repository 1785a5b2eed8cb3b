import { mkdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
} from "@aws-sdk/client-s3";
import { BridgeError } from "../../../errors.ts";
import { nodeFileSystem } from "../local/file-system.ts";
import { ownStagingFolderName, removeStagingLeftovers } from "../local/staging-folder.ts";
import { checkObjectPath } from "../object-path.ts";
import type { CopyProgress, LocalCopies, ObjectStore, StoredObject } from "../object-store.ts";
import { CopyCache, diskError } from "./copy-cache.ts";
import { type CreateAttempt, refuseUnconditional } from "./refuse-unconditional.ts";
import { createS3Clients, type S3Clients } from "./s3-client.ts";
import { httpStatusOf, notS3, s3FaultName } from "./s3-error.ts";
import { S3Metrics } from "./s3-metrics.ts";
import { isPassing, S3Requests } from "./s3-requests.ts";
import type { S3StoreOptions } from "./s3-store-options.ts";
import { abortLeftUploads, uploadFile, uploadTimeoutMs } from "./s3-upload.ts";
import { type S3Target, s3Place, s3Url } from "./s3-url.ts";
import { writeStream } from "./write-stream.ts";

const defaultLeftAfterMs = 24 * 3_600_000;
/** Objects below the lake's prefix by which the store tests the server; they stay for the next test. */
const probePrefix = "_probe/";
const probeName = `${probePrefix}conditional-writes`;
const clockName = `${probePrefix}clock`;

/** The lake in a bucket. Completed operations are as durable as the bucket. */
class S3Store implements ObjectStore {
  readonly url: string;
  readonly stagingFolder: string;
  readonly copyMaxBytes: number;
  readonly #target: S3Target;
  readonly #root: string;
  readonly #options: S3StoreOptions;
  readonly #clients: S3Clients;
  readonly #requests: S3Requests;
  readonly #cache: CopyCache;

  constructor(target: S3Target, options: S3StoreOptions) {
    const metrics = new S3Metrics(options.registry);
    this.url = s3Place(target);
    this.#target = target;
    this.#root = target.prefix === "" ? "" : `${target.prefix}/`;
    this.#options = options;
    this.stagingFolder = join(options.folder, "staging", ownStagingFolderName());
    this.copyMaxBytes = options.config.cacheMaxBytes;
    const environment = options.environment ?? process.env;
    this.#clients = createS3Clients({ target, config: options.config, metrics, environment });
    this.#requests = new S3Requests({ target, ...options });
    this.#cache = new CopyCache({
      folder: join(options.folder, "cache"),
      useFolder: this.stagingFolder,
      maxBytes: options.config.cacheMaxBytes,
      lake: s3Url(target),
      metrics,
      download: (path, localFile) => this.#download(path, localFile),
    });
  }

  async open(): Promise<this> {
    try {
      await mkdir(this.stagingFolder, { recursive: true });
      const { stagingFolder } = this;
      await removeStagingLeftovers(nodeFileSystem, dirname(stagingFolder), basename(stagingFolder));
    } catch (error) {
      throw diskError(error, this.#options.folder);
    }
    await this.#page("", {}, 1);
    if (this.#options.access === "write") {
      await refuseUnconditional({
        url: this.url,
        key: this.#root + probeName,
        requests: this.#requests,
        attemptsMax: this.#options.config.attempts,
        tryCreate: (key, bytes) => this.#tryPutIfAbsent(key, bytes),
      });
      await this.removeLeftovers();
    }
    this.#requests.hasWorked();
    return this;
  }

  async get(path: string): Promise<Uint8Array | null> {
    const key = this.#key(path);
    return this.#requests.retried({ operation: "GetObject", key }, async (signal) => {
      const body = await this.#body(key, signal);
      return body === null ? null : await body.transformToByteArray();
    });
  }

  async put(path: string, bytes: Uint8Array): Promise<void> {
    const key = this.#key(path);
    await this.#requests.retried({ operation: "PutObject", key }, async (signal) => {
      const command = new PutObjectCommand({ ...this.#params(key), Body: bytes });
      const { ETag: tag } = await this.#clients.single.send(command, { abortSignal: signal });
      this.#refuseUntagged(tag);
    });
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    const key = this.#key(path);
    // After an attempt without an answer, an existing object may be the one that this attempt created.
    let isOursPossible = false;
    const request = { operation: "PutObject", key };
    for (let attempt = 1; ; attempt++) {
      const { outcome, error } = await this.#tryPutIfAbsent(key, bytes);
      if (outcome === "created") return "created";
      isOursPossible ||= outcome === "unknown";
      if (outcome === "exists" && !isOursPossible) return "exists";
      const found = outcome === "conflict" ? null : await this.get(path);
      if (found !== null) return Buffer.compare(found, bytes) === 0 ? "created" : "exists";
      if (attempt >= this.#options.config.attempts)
        throw error ?? this.#requests.translate(new Error("other writers wrote at the same time"), request);
      await this.#requests.pause(attempt);
    }
  }

  async importFile(localFile: string, path: string): Promise<{ bytes: number }> {
    const key = this.#key(path);
    const { timeoutMs: requestMs } = this.#options.config;
    const timeoutMs = await uploadTimeoutMs(localFile, requestMs).catch((error: unknown) => {
      throw diskError(error, localFile);
    });
    const bytes = await this.#requests.retried({ operation: "PutObject", key, timeoutMs }, async () => {
      const uploaded = await uploadFile(this.#clients.uploads, localFile, this.#params(key));
      this.#refuseUntagged(uploaded.tag);
      return uploaded.bytes;
    });
    await rm(localFile, { force: true });
    return { bytes };
  }

  localCopies(paths: readonly string[], onProgress?: CopyProgress): Promise<LocalCopies> {
    return this.#cache.copies(paths, onProgress);
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<StoredObject> {
    const start = options.after === undefined ? {} : { StartAfter: this.#root + options.after };
    let token: string | undefined;
    do {
      const page = await this.#page(
        prefix,
        token === undefined ? start : { ...start, ContinuationToken: token },
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key === undefined || Key.endsWith("/") || Key.startsWith(this.#root + probePrefix)) continue;
        yield {
          path: Key.slice(this.#root.length),
          bytes: Size ?? 0,
          // Without a time stamp, an object never gets old.
          modifiedAtMs: LastModified?.getTime() ?? Number.POSITIVE_INFINITY,
        };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(path: string): Promise<void> {
    const key = this.#key(path);
    await this.#requests.retried({ operation: "DeleteObject", key }, async (abortSignal) => {
      const command = new DeleteObjectCommand({ Bucket: this.#target.bucket, Key: key });
      await this.#clients.single.send(command, { abortSignal });
    });
  }

  /** Never rejects: the rights or the server may not allow a search for unfinished uploads. */
  async removeLeftovers(): Promise<number> {
    const { bucket } = this.#target;
    const { logger, leftAfterMs = defaultLeftAfterMs } = this.#options;
    try {
      const beforeMs = (await this.now()) - leftAfterMs;
      const uploads = await this.#requests.retried(
        { operation: "ListMultipartUploads", key: this.#root },
        () => abortLeftUploads(this.#clients.single, { bucket, prefix: this.#root, beforeMs }),
      );
      if (uploads > 0)
        logger?.info({ event: "s3.uploads.aborted", uploads }, "unfinished uploads were aborted");
      return uploads;
    } catch (error) {
      const code = error instanceof BridgeError ? error.code : undefined;
      logger?.warn(
        { event: "s3.uploads.unchecked", code, err: error },
        "unfinished uploads can't be listed; let a lifecycle rule of the bucket abort them",
      );
      return 0;
    }
  }

  /** Precision: whole seconds, as in listings. */
  async now(): Promise<number> {
    await this.put(clockName, new Uint8Array(0));
    const { Contents: [object] = [] } = await this.#page(clockName, {}, 1);
    if (object?.LastModified === undefined) throw this.#notS3();
    return object.LastModified.getTime();
  }

  async freeBytes(): Promise<null> {
    return null;
  }

  #key(path: string): string {
    checkObjectPath(path);
    return this.#root + path;
  }

  #params(key: string): PutObjectCommandInput {
    const { encryption, kmsKeyId } = this.#options.config;
    return {
      Bucket: this.#target.bucket,
      Key: key,
      ...(encryption === "none" ? {} : { ServerSideEncryption: encryption }),
      ...(encryption === "aws:kms" && kmsKeyId !== undefined ? { SSEKMSKeyId: kmsKeyId } : {}),
    };
  }

  async #tryPutIfAbsent(key: string, bytes: Uint8Array): Promise<CreateAttempt> {
    const command = new PutObjectCommand({ ...this.#params(key), Body: bytes, IfNoneMatch: "*" });
    try {
      return await this.#requests.once({ operation: "PutObject", key }, async (abortSignal) => {
        try {
          const { ETag: tag } = await this.#clients.single.send(command, { abortSignal });
          this.#refuseUntagged(tag);
          return { outcome: "created" };
        } catch (error) {
          if (httpStatusOf(error) === 412) return { outcome: "exists" };
          // Another writer's request for this name was under way; the object may or may not exist.
          if (httpStatusOf(error) === 409) return { outcome: "conflict" };
          throw error;
        }
      });
    } catch (error) {
      if (isPassing(error)) return { outcome: "unknown", error };
      throw error;
    }
  }

  async #page(prefix: string, from: { StartAfter?: string; ContinuationToken?: string }, max = 1000) {
    const { bucket: Bucket } = this.#target;
    const Prefix = this.#root + prefix;
    return this.#requests.retried({ operation: "ListObjectsV2", key: Prefix }, async (abortSignal) => {
      const command = new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: max, ...from });
      const page = await this.#clients.single.send(command, { abortSignal });
      if (page.Name === undefined && page.KeyCount === undefined && page.Contents === undefined)
        throw this.#notS3();
      return page;
    });
  }

  /** Stream of an object's bytes; null if there is no such object. */
  async #body(key: string, signal: AbortSignal) {
    try {
      const command = new GetObjectCommand({ Bucket: this.#target.bucket, Key: key });
      const { Body, ETag: tag } = await this.#clients.single.send(command, { abortSignal: signal });
      if (!Body) throw this.#notS3();
      const stream = Body as Readable;
      stream.on("error", () => {});
      signal.addEventListener("abort", () => stream.destroy(), { once: true });
      if (tag === undefined) stream.destroy();
      this.#refuseUntagged(tag);
      return Body;
    } catch (error) {
      if (s3FaultName(error) === "NoSuchKey") return null;
      throw error;
    }
  }

  /** Each chunk may take as long as a request. */
  async #download(path: string, localFile: string): Promise<number | null> {
    const key = this.#key(path);
    const { timeoutMs } = this.#options.config;
    return this.#requests.retried(
      { operation: "GetObject", key, timeoutMs: 24 * 3_600_000 },
      async (signal) => {
        const body = await this.#body(key, signal);
        return body === null ? null : await writeStream(body as Readable, localFile, timeoutMs);
      },
    );
  }

  #refuseUntagged(tag: string | undefined): void {
    if (tag === undefined) throw this.#notS3();
  }

  #notS3(): BridgeError {
    return new BridgeError("S3_NOT_S3", notS3(this.#target, 200), { retryable: false });
  }
}

/** See `open-s3-store.ts`. */
export function createS3Store(target: S3Target, options: S3StoreOptions): Promise<ObjectStore> {
  return new S3Store(target, options).open();
}
