// A reader of S3 of its own: it shares no code with the writer.
import type { GetObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import { SimulatorError } from "../errors.ts";
import type { LakeFile, LakeFiles } from "./lake-files.ts";

/** Bytes of an object's first request. Most files fit in it. */
const firstBytes = 16 * 1024 * 1024;
const attempts = 5;
const timeoutMs = 30_000;

export interface S3Place {
  readonly bucket: string;
  /** "" or ending with a slash. */
  readonly root: string;
  readonly endpoint: string | null;
  readonly region: string | null;
  readonly pathStyle: boolean;
}

/**
 * Reads `s3://BUCKET[/PREFIX][?endpoint=URL][&region=NAME][&pathStyle=BOOLEAN]`; null if the URL has another
 * form.
 */
export function readS3Place(text: string): S3Place | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "s3:" || url.host === "" || url.username !== "" || url.password !== "") return null;
  const prefix = url.pathname.replaceAll(/^\/+|\/+$/g, "");
  const endpoint = url.searchParams.get("endpoint");
  const pathStyle = url.searchParams.get("pathStyle") ?? String(endpoint !== null);
  return {
    bucket: url.host,
    root: prefix === "" ? "" : `${prefix}/`,
    endpoint,
    region: url.searchParams.get("region"),
    pathStyle: pathStyle === "true",
  };
}

/**
 * A lake in a bucket. Credentials come from the same places as for AWS' tools. All of its errors are
 * AUDIT_LAKE_UNREACHABLE.
 */
export class S3Lake implements LakeFiles {
  readonly #place: S3Place;
  #client: Promise<S3Client> | undefined;

  constructor(place: S3Place) {
    this.#place = place;
  }

  async list(folder: string): Promise<string[]> {
    const { bucket: Bucket, root } = this.#place;
    const Prefix = folder === "" ? root : `${root}${folder}/`;
    const { ListObjectsV2Command } = await import("@aws-sdk/client-s3");
    const names: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#ask((client) =>
        client.send(
          new ListObjectsV2Command({
            Bucket,
            Prefix,
            Delimiter: "/",
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        ),
      );
      const keys = [
        ...(page.Contents ?? []).map(({ Key }) => Key),
        ...(page.CommonPrefixes ?? []).map((common) => common.Prefix?.slice(0, -1)),
      ];
      for (const key of keys) if (key !== undefined && key !== Prefix) names.push(key.slice(Prefix.length));
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
    return names;
  }

  async open(path: string): Promise<LakeFile | null> {
    const key = this.#place.root + path;
    const first = await this.#get(key, `bytes=0-${firstBytes - 1}`);
    if (first === null) return null;
    return new S3File(first, async (start, end) => {
      const part = await this.#get(key, `bytes=${start}-${end - 1}`);
      if (part === null) throw new Error(`${path} vanished`);
      return part.bytes;
    });
  }

  async modifiedAtMs(path: string): Promise<number | null> {
    const { HeadObjectCommand } = await import("@aws-sdk/client-s3");
    const command = new HeadObjectCommand({ Bucket: this.#place.bucket, Key: this.#place.root + path });
    return this.#ask(async (client) => {
      try {
        return (await client.send(command)).LastModified?.getTime() ?? null;
      } catch (error) {
        if ((error as Error).name === "NotFound") return null;
        throw error;
      }
    });
  }

  /** null if there is no such object. */
  async #get(key: string, range: string): Promise<{ bytes: Buffer; totalBytes: number } | null> {
    const { GetObjectCommand } = await import("@aws-sdk/client-s3");
    const command = new GetObjectCommand({ Bucket: this.#place.bucket, Key: key, Range: range });
    return this.#ask(async (client) => {
      try {
        const answer = await client.send(command);
        if (!answer.Body) throw new Error("an answer without a body");
        const bytes = Buffer.from(await answer.Body.transformToByteArray());
        return { bytes, totalBytes: totalBytesOf(answer, bytes.length) };
      } catch (error) {
        const { name } = error as Error;
        if (name === "NoSuchKey") return null;
        // A range of an object without bytes.
        if (name === "InvalidRange") return { bytes: Buffer.alloc(0), totalBytes: 0 };
        throw error;
      }
    });
  }

  async #ask<Answer>(ask: (client: S3Client) => Promise<Answer>): Promise<Answer> {
    this.#client ??= s3Client(this.#place);
    try {
      return await ask(await this.#client);
    } catch (cause) {
      const { name, message } = cause as Error;
      throw new SimulatorError(
        "AUDIT_LAKE_UNREACHABLE",
        `the bucket ${this.#place.bucket} can't be read: ${name}: ${message}. Check endpoint and region in --lake, and that the environment's AWS credentials may list the bucket and read its objects`,
        { retryable: true, cause },
      );
    }
  }
}

export async function s3Client({ endpoint, region, pathStyle }: S3Place): Promise<S3Client> {
  // The locked version runs on the Node that it is tested with.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const { S3Client } = await import("@aws-sdk/client-s3");
  const { AWS_REGION: regionOfMachine } = process.env;
  const used = region ?? regionOfMachine ?? (endpoint === null ? undefined : "us-east-1");
  return new S3Client({
    maxAttempts: attempts,
    forcePathStyle: pathStyle,
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: { connectionTimeout: 5000, requestTimeout: timeoutMs, throwOnRequestTimeout: true },
    ...(endpoint === null ? {} : { endpoint }),
    ...(used === undefined ? {} : { region: used }),
  });
}

/** `bytes 0-99/1234`; a server that ignores ranges sends everything. */
function totalBytesOf({ ContentRange }: GetObjectCommandOutput, received: number): number {
  const total = /\/(\d+)$/.exec(ContentRange ?? "")?.[1];
  return total === undefined ? received : Number(total);
}

class S3File implements LakeFile {
  readonly bytes: number;
  readonly #first: Buffer;
  readonly #read: (start: number, end: number) => Promise<Buffer>;

  constructor(
    first: { bytes: Buffer; totalBytes: number },
    read: (start: number, end: number) => Promise<Buffer>,
  ) {
    this.bytes = first.totalBytes;
    this.#first = first.bytes;
    this.#read = read;
  }

  async slice(start: number, end: number): Promise<ArrayBuffer> {
    const bytes = end <= this.#first.length ? this.#first.subarray(start, end) : await this.#read(start, end);
    if (bytes.length !== end - start) throw new Error(`${bytes.length} bytes came instead of ${end - start}`);
    return Uint8Array.from(bytes).buffer;
  }

  async close(): Promise<void> {}
}
