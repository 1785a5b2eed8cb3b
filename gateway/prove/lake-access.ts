import { type FileHandle, link, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { S3Target } from "../../bridge/config.ts";
import type { FileTarget } from "../lakes/file/file-kind.ts";
import type { InS3 } from "../lakes/s3/s3-kind.ts";

/** PORT: a lake's objects as another program meets them, past the gateways. Paths are relative to the lake's root, with `/`. */
export interface LakeAccess {
  /** Paths that begin with `prefix`, in order. `atMost`: no more of them are asked for. */
  list(prefix: string, atMost?: number): Promise<string[]>;
  /** null where there is no such object. */
  get(path: string): Promise<Buffer | null>;
  /** False where the object is there already; it is left as it is. */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean>;
  /** Also where there is no such object. */
  delete(path: string): Promise<void>;
  close(): void;
}

/** Lakes that a proof can get at past the gateways. */
export type ReachedLake = FileTarget | InS3;

/** @param client Of a server of the proof's own; for another one the credentials come from the environment. */
export function openLakeAccess(target: ReachedLake, client?: S3Client): LakeAccess {
  if (target.kind === "file") return new LocalAccess(target.folder);
  return new S3Access(target.s3, client ?? clientFor(target.s3));
}

class LocalAccess implements LakeAccess {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(prefix: string, atMost = Number.POSITIVE_INFINITY): Promise<string[]> {
    const below = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    const entries = await readdir(join(this.#folder, below), { recursive: true, withFileTypes: true }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return [];
        throw error;
      },
    );
    const paths = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(this.#folder, "/").length))
      .filter((path) => path.startsWith(prefix));
    return paths.sort().slice(0, atMost);
  }

  async get(path: string): Promise<Buffer | null> {
    try {
      return await readFile(join(this.#folder, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean> {
    const file = join(this.#folder, path);
    const unfinished = `${file}.${process.pid}.foreign`;
    await mkdir(dirname(file), { recursive: true });
    await writeDurably(await open(unfinished, "w"), bytes);
    try {
      await link(unfinished, file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    } finally {
      await rm(unfinished);
    }
  }

  async delete(path: string): Promise<void> {
    await rm(join(this.#folder, path), { force: true });
  }

  close(): void {}
}

async function writeDurably(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

class S3Access implements LakeAccess {
  readonly #target: S3Target;
  readonly #client: S3Client;

  constructor(target: S3Target, client: S3Client) {
    this.#target = target;
    this.#client = client;
  }

  async list(prefix: string, atMost = Number.POSITIVE_INFINITY): Promise<string[]> {
    const paths: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#target.bucket,
          Prefix: this.#key(prefix),
          MaxKeys: Math.min(1000, atMost),
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      );
      for (const { Key = "" } of page.Contents ?? []) paths.push(Key.slice(this.#key("").length));
      token = page.NextContinuationToken;
    } while (token !== undefined && paths.length < atMost);
    return paths.slice(0, atMost);
  }

  async get(path: string): Promise<Buffer | null> {
    try {
      const place = { Bucket: this.#target.bucket, Key: this.#key(path) };
      const { Body } = await this.#client.send(new GetObjectCommand(place));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    } catch (error) {
      if (error instanceof Error && error.name === "NoSuchKey") return null;
      throw error;
    }
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean> {
    try {
      const place = { Bucket: this.#target.bucket, Key: this.#key(path) };
      await this.#client.send(new PutObjectCommand({ ...place, Body: bytes, IfNoneMatch: "*" }));
      return true;
    } catch (error) {
      if (error instanceof Error && error.name === "PreconditionFailed") return false;
      throw error;
    }
  }

  async delete(path: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#target.bucket, Key: this.#key(path) }));
  }

  close(): void {
    this.#client.destroy();
  }

  #key(path: string): string {
    return this.#target.prefix === "" ? path : `${this.#target.prefix}/${path}`;
  }
}

function clientFor({ endpoint, region, isPathStyle }: S3Target): S3Client {
  // The locked version runs on the Node that it is tested with.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const place = endpoint === undefined ? {} : { endpoint };
  const known = region ?? (endpoint === undefined ? undefined : "us-east-1");
  return new S3Client({
    forcePathStyle: isPathStyle,
    ...place,
    ...(known === undefined ? {} : { region: known }),
  });
}
