import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

/**
 * Files up to this size take one request, larger ones one per part. S3 allows parts from 5 MiB, and at most
 * 10,000.
 */
const partBytes = 8 * 1024 ** 2;
/** Parts sent in parallel; each is in memory. */
const partsAtOnce = 3;

/**
 * Uploads a finished file. Resolves with its size in bytes and the server's tag. Aborts a multi-part upload
 * that fails.
 */
export async function uploadFile(
  client: S3Client,
  localFile: string,
  params: PutObjectCommandInput,
): Promise<{ bytes: number; tag: string | undefined }> {
  const { size: bytes } = await stat(localFile);
  if (bytes <= partBytes) {
    const Body = await readFile(localFile);
    const { ETag: tag } = await client.send(new PutObjectCommand({ ...params, Body }));
    return { bytes, tag };
  }
  const Body = createReadStream(localFile, { highWaterMark: 1024 ** 2 });
  try {
    const upload = new Upload({
      client,
      params: { ...params, Body },
      partSize: partBytes,
      queueSize: partsAtOnce,
    });
    const { ETag: tag } = await upload.done();
    return { bytes, tag };
  } finally {
    Body.destroy();
  }
}

/** Deadline of this file's upload: each part may take as long as a request. */
export async function uploadTimeoutMs(localFile: string, requestTimeoutMs: number): Promise<number> {
  const { size } = await stat(localFile);
  return requestTimeoutMs * (2 + Math.ceil(size / partBytes));
}

/** Aborts multi-part uploads below `prefix` that began before `beforeMs`. Resolves with their number. */
export async function abortLeftUploads(
  client: S3Client,
  { bucket, prefix, beforeMs }: { bucket: string; prefix: string; beforeMs: number },
): Promise<number> {
  let aborted = 0;
  let marker: { KeyMarker?: string; UploadIdMarker?: string } = {};
  for (;;) {
    const page = await client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...marker }),
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || !Key.startsWith(prefix)) continue;
      if (Initiated === undefined || Initiated.getTime() >= beforeMs) continue;
      await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
      aborted++;
    }
    const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page;
    const isStuck = NextKeyMarker === marker.KeyMarker && NextUploadIdMarker === marker.UploadIdMarker;
    if (!IsTruncated || !NextKeyMarker || isStuck) return aborted;
    marker = {
      KeyMarker: NextKeyMarker,
      ...(NextUploadIdMarker === undefined ? {} : { UploadIdMarker: NextUploadIdMarker }),
    };
  }
}
