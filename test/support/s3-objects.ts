import { createHash, randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { crc32 } from "node:zlib";

export interface S3Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

interface StoredObject {
  readonly bytes: Buffer;
  readonly tag: string;
  readonly modified: Date;
}

interface OpenUpload {
  readonly key: string;
  readonly initiated: Date;
  readonly parts: Map<number, StoredObject>;
}

export interface S3Request {
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/**
 * One bucket in memory with the part of S3's API that a lake uses: atomic puts, conditional or not,
 * multi-part uploads, ranged gets, version 2 listings. Accepts any signature.
 */
export class S3Objects {
  /** The clock that stamps objects. */
  now: () => number = Date.now;
  readonly bucket: string;
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<string, OpenUpload>();

  constructor(bucket: string) {
    this.bucket = bucket;
  }

  /** @param honoursConditions False = like servers that ignore If-None-Match. */
  answer(request: S3Request, body: Buffer, honoursConditions: boolean): S3Answer {
    const { method, bucket, key, query, headers } = request;
    if (bucket !== this.bucket) return s3Refusal(404, "NoSuchBucket");
    if (headers.authorization === undefined) return s3Refusal(403, "AccessDenied");
    if (key === "") return query.has("uploads") ? this.#listUploads(query) : this.#list(query);
    if (method === "PUT" || (method === "POST" && query.has("uploadId"))) {
      const expected = headers["x-amz-checksum-crc32"];
      if (typeof expected === "string" && method === "PUT" && expected !== checksumOf(body))
        return s3Refusal(400, "BadDigest");
      if (headers["content-encoding"]?.includes("aws-chunked")) return s3Refusal(501, "NotImplemented");
    }
    if (query.has("uploads") && method === "POST") return this.#beginUpload(key);
    const uploadId = query.get("uploadId");
    if (uploadId !== null) return this.#ofUpload(method, uploadId, query, body);
    if (method === "PUT") return this.#put(key, body, honoursConditions && headers["if-none-match"] === "*");
    if (method === "DELETE") {
      this.objects.delete(key);
      return { status: 204 };
    }
    return this.#get(request);
  }

  #put(key: string, bytes: Buffer, onlyIfAbsent: boolean): S3Answer {
    if (onlyIfAbsent && this.objects.has(key)) return s3Refusal(412, "PreconditionFailed");
    const tag = tagOf(bytes);
    this.objects.set(key, { bytes, tag, modified: new Date(this.now()) });
    return { status: 200, headers: { etag: tag } };
  }

  #get({ method, key, headers }: S3Request): S3Answer {
    const object = this.objects.get(key);
    if (!object) return s3Refusal(404, "NoSuchKey");
    const { bytes, tag, modified } = object;
    const facts = { etag: tag, "last-modified": modified.toUTCString() };
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
    if (from !== undefined && Number(from) >= bytes.length) return s3Refusal(416, "InvalidRange");
    if (from !== undefined) {
      const part = bytes.subarray(Number(from), to === "" ? undefined : Number(to) + 1);
      const range = `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`;
      return { status: 206, headers: { ...facts, "content-range": range }, body: part };
    }
    const checksum = headers["x-amz-checksum-mode"] ? { "x-amz-checksum-crc32": checksumOf(bytes) } : {};
    if (method === "HEAD")
      return { status: 200, headers: { ...facts, "content-length": String(bytes.length) } };
    return { status: 200, headers: { ...facts, ...checksum }, body: bytes };
  }

  #beginUpload(key: string): S3Answer {
    const id = randomUUID();
    this.uploads.set(id, { key, initiated: new Date(this.now()), parts: new Map() });
    return xml(
      `<InitiateMultipartUploadResult><Key>${key}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
    );
  }

  #ofUpload(method: string, id: string, query: URLSearchParams, body: Buffer): S3Answer {
    const upload = this.uploads.get(id);
    if (!upload) return s3Refusal(404, "NoSuchUpload");
    if (method === "PUT") {
      const tag = tagOf(body);
      upload.parts.set(Number(query.get("partNumber")), { bytes: body, tag, modified: new Date(this.now()) });
      return { status: 200, headers: { etag: tag } };
    }
    this.uploads.delete(id);
    if (method === "DELETE") return { status: 204 };
    const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)</g)].map(([, number]) => Number(number));
    const parts = numbers.map((number) => upload.parts.get(number)?.bytes ?? Buffer.alloc(0));
    this.#put(upload.key, Buffer.concat(parts), false);
    return xml(`<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>`);
  }

  #list(query: URLSearchParams): S3Answer {
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter") ?? "";
    const after = query.get("continuation-token") ?? query.get("start-after") ?? "";
    const max = Number(query.get("max-keys") ?? 1000);
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const names = new Set<string>();
    const contents: string[] = [];
    let last = "";
    let isTruncated = false;
    for (const key of keys) {
      const end = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
      if (end >= 0 && names.has(key.slice(0, end + 1))) continue;
      isTruncated = contents.length + names.size >= max;
      if (isTruncated) break;
      last = key;
      if (end >= 0) names.add(key.slice(0, end + 1));
      else contents.push(this.#listed(key));
    }
    const prefixes = [...names].map((name) => `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`);
    // Keys below a listed name come after the name.
    const token = isTruncated
      ? `<NextContinuationToken>${last}${[...names].includes(last) ? "\uffff" : ""}</NextContinuationToken>`
      : "";
    return xml(
      `<ListBucketResult><Name>${this.bucket}</Name><KeyCount>${contents.length}</KeyCount><IsTruncated>${isTruncated}</IsTruncated>${token}${contents.join("")}${prefixes.join("")}</ListBucketResult>`,
    );
  }

  #listed(key: string): string {
    const object = this.objects.get(key);
    return `<Contents><Key>${key}</Key><Size>${object?.bytes.length}</Size><LastModified>${object?.modified.toISOString()}</LastModified></Contents>`;
  }

  #listUploads(query: URLSearchParams): S3Answer {
    const prefix = query.get("prefix") ?? "";
    const uploads = [...this.uploads].filter(([, { key }]) => key.startsWith(prefix));
    const listed = uploads.map(
      ([id, { key, initiated }]) =>
        `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${initiated.toISOString()}</Initiated></Upload>`,
    );
    return xml(
      `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${listed.join("")}</ListMultipartUploadsResult>`,
    );
  }
}

export function s3Refusal(status: number, code: string, inside = ""): S3Answer {
  return xml(`<Error><Code>${code}</Code><Message>${code} by test</Message>${inside}</Error>`, status);
}

function xml(inner: string, status = 200): S3Answer {
  const body = `<?xml version="1.0" encoding="UTF-8"?>${inner}`;
  return { status, headers: { "content-type": "application/xml" }, body };
}

function tagOf(bytes: Buffer): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

function checksumOf(bytes: Buffer): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes));
  return value.toString("base64");
}
