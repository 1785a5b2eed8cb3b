import { BridgeError, type BridgeErrorCode } from "../../../errors.ts";
import { type S3Target, s3Place } from "./s3-url.ts";

/** Permissions by operation; operations that are not listed need the permission of their own name. */
const permissions: Readonly<Record<string, string>> = {
  ListObjectsV2: "s3:ListBucket",
  UploadPart: "s3:PutObject",
  CreateMultipartUpload: "s3:PutObject",
  CompleteMultipartUpload: "s3:PutObject",
  ListMultipartUploads: "s3:ListBucketMultipartUploads",
};

const refusedCredentials = new Set([
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "ExpiredToken",
  "InvalidToken",
  "TokenRefreshRequired",
  "UnrecognizedClientException",
]);
const wrongRegion = new Set([
  "PermanentRedirect",
  "AuthorizationHeaderMalformed",
  "IllegalLocationConstraintException",
  "TemporaryRedirect",
]);
const full = new Set(["QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "QuotaExceededException"]);
const denied = new Set([
  "AccessDenied",
  "AllAccessDisabled",
  "AccountProblem",
  "InvalidObjectState",
  "MethodNotAllowed",
]);
const passing = new Set(["SlowDown", "Throttling", "TooManyRequests", "RequestTimeout", "OperationAborted"]);

interface S3Fault {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  /** The name in S3's XML. */
  readonly Code?: string;
  readonly Region?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** The server's name of the fault, or "". */
export function s3FaultName(error: unknown): string {
  return ((error as S3Fault | null)?.name ?? "").replace(/^Error$/, "");
}

export function httpStatusOf(error: unknown): number | undefined {
  return (error as S3Fault | null)?.$metadata?.httpStatusCode;
}

export interface S3Call {
  readonly target: S3Target;
  /** Name in the API, such as `PutObject`. */
  readonly operation: string;
  readonly key: string;
}

/**
 * Translates a failed call to S3: one code per cause, and a text that says what to do. Causes that pass by
 * themselves are retryable: STORE_UNAVAILABLE (no answer or a failing server, so the outcome is unknown),
 * STORE_FULL, S3_CLOCK_SKEW. Once the store has worked, it makes the others retryable: a change caused them,
 * and may be undone.
 */
export function s3Error(cause: unknown, call: S3Call): BridgeError {
  if (cause instanceof BridgeError) return cause;
  const fault = (cause ?? {}) as S3Fault;
  const name = s3FaultName(cause);
  const status = httpStatusOf(cause);
  const { target, operation } = call;
  const place = s3Place(target);
  const make = (code: BridgeErrorCode, text: string, retryable = false): BridgeError =>
    new BridgeError(code, text, {
      retryable,
      cause,
      details: {
        operation,
        key: call.key,
        ...(name === "" ? {} : { fault: name }),
        ...(status ? { status } : {}),
      },
    });
  if (/^Credentials|TokenProviderError/.test(name)) return make("S3_CREDENTIALS_MISSING", missingCredentials);
  if (refusedCredentials.has(name))
    return make(
      "S3_CREDENTIALS_REFUSED",
      `S3 refuses the credentials for ${place} (${name}). Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile; temporary ones expire`,
    );
  if (name === "NoSuchBucket") return make("S3_BUCKET_MISSING", missingBucket(target));
  if (wrongRegion.has(name) || status === 301 || /^Region is missing/.test(fault.message ?? ""))
    return make("S3_REGION_WRONG", regionText(target, fault));
  if (name === "RequestTimeTooSkewed")
    return make(
      "S3_CLOCK_SKEW",
      `S3 refuses requests because this machine's clock differs from the server's by more than 15 minutes: set the clock (NTP)`,
      true,
    );
  if (full.has(name) || status === 507)
    return make("STORE_FULL", `${place} is full (${name || status}); raise the quota or free space`, true);
  if (isNoS3(cause)) return make("S3_NOT_S3", notS3(target, status));
  if (denied.has(name) || status === 403 || status === 401 || name.startsWith("KMS."))
    return make("S3_DENIED", deniedText(call, fault));
  if (status === undefined || (status >= 500 && status !== 501) || status === 429 || passing.has(name))
    return make(
      "STORE_UNAVAILABLE",
      `${place} can't be used (${operation}): ${reasonOf(fault, status)}`,
      true,
    );
  return make(
    "S3_REFUSED",
    `S3 refuses ${operation} in ${place}: ${name || status}: ${fault.message}. If the server does not support checksums or encryption, set s3.checksums or s3.encryption to none`,
  );
}

/** The answer lacks what S3 always sends, so another server answered. */
export function notS3(target: S3Target, status: number | undefined): string {
  const { endpoint = "the endpoint" } = target;
  return `${endpoint} does not answer like S3 (HTTP ${status ?? "?"}, not the XML of an S3 server): check the endpoint in the lake's URL, and whether a proxy or web console answers there`;
}

function isNoS3(cause: unknown): boolean {
  const message = cause instanceof Error ? cause.message : "";
  const status = httpStatusOf(cause) ?? 0;
  const { Code } = (cause ?? {}) as S3Fault;
  return (
    status > 0 &&
    status < 500 &&
    (Code === undefined || /XML parse error|Deserialization error/.test(message))
  );
}

const missingCredentials =
  "There are no AWS credentials for the lake: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role that may use the bucket";

function missingBucket(target: S3Target): string {
  const endpoint = target.endpoint === undefined ? "" : ` --endpoint-url ${target.endpoint}`;
  const region = target.region === undefined ? "" : ` --region ${target.region}`;
  return `There is no bucket ${target.bucket}. Create it, for example with \`aws s3 mb s3://${target.bucket}${region}${endpoint}\`, or name another in the lake's URL`;
}

function regionText(target: S3Target, fault: S3Fault): string {
  if (/^Region is missing/.test(fault.message ?? ""))
    return "No region is set for the lake: add ?region=NAME to its URL, or set AWS_REGION";
  const right = fault.Region === undefined ? "the bucket's own region" : `${fault.Region}`;
  const used = target.region === undefined ? "the region of the environment" : `region ${target.region}`;
  return `The bucket ${target.bucket} is not in ${used}: put region=${right} into the lake's URL`;
}

function deniedText({ target, operation, key }: S3Call, fault: S3Fault): string {
  const permission = permissions[operation] ?? `s3:${operation}`;
  const kms = fault.name?.startsWith("KMS.") ? ", and the KMS key's policy must let them use it" : "";
  const object = operation.startsWith("List") ? target.bucket : `${target.bucket}/${key}`;
  return `S3 does not allow ${operation} on ${object}: the credentials need ${permission}${kms} (${fault.name ?? "403"}: ${fault.message ?? ""})`;
}

function reasonOf(fault: S3Fault, status: number | undefined): string {
  if (fault.name === "TimeoutError" && fault.code !== "ECONNRESET") return "no answer in time";
  if (fault.name === "AbortError") return "no answer in time";
  const text =
    fault.message && fault.message !== "UnknownError" ? fault.message : (fault.name ?? "no answer");
  return status === undefined ? text : `HTTP ${status} ${text}`;
}
