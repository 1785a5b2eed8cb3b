import type { ObjectStore } from "../object-store.ts";
import type { S3StoreOptions } from "./s3-store-options.ts";
import type { S3Target } from "./s3-url.ts";

/**
 * Opens a lake in a bucket that exists. Rejects with what stands in the way: S3_CREDENTIALS_MISSING, S3_CREDENTIALS_REFUSED,
 * S3_BUCKET_MISSING, S3_REGION_WRONG, S3_DENIED, S3_NOT_S3, S3_REFUSED, with access `write` S3_UNCONDITIONAL where the server ignores
 * conditions; STORE_UNAVAILABLE and S3_CLOCK_SKEW (retryable) where the same call may work later. Once open, all of these are retryable:
 * whoever took a right away may give it back.
 * The SDK is loaded here, so that processes without such a lake don't pay for it.
 */
export async function openS3Store(target: S3Target, options: S3StoreOptions): Promise<ObjectStore> {
  const { createS3Store } = await import("./s3-store.ts");
  return createS3Store(target, options);
}
