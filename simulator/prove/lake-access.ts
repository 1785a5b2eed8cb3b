import { type FileHandle, link, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { folderOfUrl } from "../audit/open-lake.ts";
import { readS3Place, type S3Place, s3Client } from "../audit/s3-lake.ts";

/**
 * PORT: the objects of a lake as another program meets them, past the gateways. Paths are relative to the
 * root of the lake, with `/`.
 */
export interface LakeAccess {
  /** Paths that begin with `prefix`, in order. `atMost`: no more of them are asked for. */
  list(prefix: string, atMost?: number): Promise<string[]>;
  /** null if there is no such object. */
  get(path: string): Promise<Buffer | null>;
  /** False if the object exists already; it is left as it is. */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean>;
  /** Also if there is no such object. */
  delete(path: string): Promise<void>;
  close(): void;
}

/**
 * @param url `file:DIR` or `s3://BUCKET/PREFIX`, as the gateways take it.
 * @param client Of a server of the proof's own; for another one the credentials come from the environment.
 */
export function openLakeAccess(url: string, client?: S3Client): LakeAccess {
  const folder = folderOfUrl(url);
  if (folder !== undefined) return new LocalAccess(folder);
  const place = readS3Place(url);
  if (place === null) throw new TypeError(`a proof can't reach a lake at ${url}`);
  return new S3Access(place, client ?? s3Client(place));
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
  readonly #place: S3Place;
  readonly #client: Promise<S3Client>;

  constructor(place: S3Place, client: S3Client | Promise<S3Client>) {
    this.#place = place;
    this.#client = Promise.resolve(client);
  }

  async list(prefix: string, atMost = Number.POSITIVE_INFINITY): Promise<string[]> {
    const paths: string[] = [];
    let token: string | undefined;
    do {
      const page = await (await this.#client).send(
        new ListObjectsV2Command({
          Bucket: this.#place.bucket,
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
      const place = { Bucket: this.#place.bucket, Key: this.#key(path) };
      const { Body } = await (await this.#client).send(new GetObjectCommand(place));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    } catch (error) {
      if (error instanceof Error && error.name === "NoSuchKey") return null;
      throw error;
    }
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean> {
    try {
      const place = { Bucket: this.#place.bucket, Key: this.#key(path) };
      await (await this.#client).send(new PutObjectCommand({ ...place, Body: bytes, IfNoneMatch: "*" }));
      return true;
    } catch (error) {
      if (error instanceof Error && error.name === "PreconditionFailed") return false;
      throw error;
    }
  }

  async delete(path: string): Promise<void> {
    await (await this.#client).send(
      new DeleteObjectCommand({ Bucket: this.#place.bucket, Key: this.#key(path) }),
    );
  }

  close(): void {
    void this.#client.then((client) => client.destroy());
  }

  #key(path: string): string {
    return this.#place.root + path;
  }
}
