import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** Errors of a lake in S3. Errors that pass by themselves are STORE_UNAVAILABLE or STORE_FULL. */
export const s3Errors = {
  S3_URL_INVALID: {
    meaning: "The URL names no lake in S3, or holds credentials.",
    retry: "no",
    remedy:
      "Write `s3://BUCKET/PREFIX?region=NAME`. Credentials come from the environment, a profile or a role.",
  },
  S3_CREDENTIALS_MISSING: {
    meaning: "No AWS credentials were found.",
    retry: "no",
    remedy:
      "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role that may use the bucket.",
  },
  S3_CREDENTIALS_REFUSED: {
    meaning: "S3 does not accept the credentials, or they have expired.",
    retry: "no",
    remedy: "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile.",
  },
  S3_BUCKET_MISSING: {
    meaning: "There is no bucket of this name.",
    retry: "no",
    remedy: "Create the bucket, or correct its name in `lake.url`.",
  },
  S3_REGION_WRONG: {
    meaning: "The bucket is in another region, or no region is set.",
    retry: "no",
    remedy: "Add `?region=NAME` with the bucket's region to `lake.url`.",
  },
  S3_DENIED: {
    meaning: "The credentials may not make this call, or may not use the KMS key.",
    retry: "no",
    remedy: "Grant the permission that the message names.",
  },
  S3_CLOCK_SKEW: {
    meaning: "This machine's clock differs from the server's by more than 15 minutes.",
    retry: "yes",
    remedy: "Set the clock (NTP).",
  },
  S3_NOT_S3: {
    meaning: "The endpoint does not answer like S3.",
    retry: "no",
    remedy: "Correct the endpoint in `lake.url`. A proxy or a web console may answer there.",
  },
  S3_UNCONDITIONAL: {
    meaning: "The server ignores conditional writes (`If-None-Match: *`), so two writers could commit twice.",
    retry: "no",
    remedy: "Use AWS S3 or a server that honours them, or keep the lake on a disk (`file:DIR`).",
  },
  S3_REFUSED: {
    meaning: "S3 refuses the call for another reason.",
    retry: "no",
    remedy:
      "The message says why. For servers without checksums or encryption, set `s3.checksums` or `s3.encryption` to `none`.",
  },
} as const satisfies Record<string, ErrorEntry>;
