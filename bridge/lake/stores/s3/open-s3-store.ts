import type { ObjectStore } from "../object-store.ts";
import type { S3StoreOptions } from "./s3-store-options.ts";
import type { S3Target } from "./s3-url.ts";

/**
 * Opens a lake in an existing bucket.
 *
 * Rejects with S3_CREDENTIALS_MISSING, S3_CREDENTIALS_REFUSED, S3_BUCKET_MISSING, S3_REGION_WRONG, S3_DENIED,
 * S3_NOT_S3, S3_REFUSED, and with access `write` also S3_UNCONDITIONAL if the server ignores conditions.
 * Rejects with STORE_UNAVAILABLE or S3_CLOCK_SKEW (retryable) if the same call may succeed later. Once the
 * store is open, all of these are retryable, because a right that was revoked may be granted again.
 *
 * Loads the SDK, so that processes without a lake on S3 do not pay for it.
 */
export async function openS3Store(target: S3Target, options: S3StoreOptions): Promise<ObjectStore> {
  const { createS3Store } = await import("./s3-store.ts");
  return createS3Store(target, options);
}
