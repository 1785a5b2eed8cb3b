import { BridgeError, type BridgeErrorCode } from "../../errors.ts";
import type { KinesisTarget } from "./kinesis-url.ts";

interface Meaning {
  readonly code: BridgeErrorCode;
  readonly retryable: boolean;
  readonly mend: string;
}

const throttled: Meaning = { code: "KINESIS_THROTTLED", retryable: true, mend: "" };
const unavailable: Meaning = { code: "KINESIS_UNAVAILABLE", retryable: true, mend: "" };
const skewed: Meaning = {
  code: "KINESIS_DENIED",
  retryable: false,
  mend: "Set the clock of this machine: requests are signed with this time",
};
const unknownKey: Meaning = {
  code: "KINESIS_DENIED",
  retryable: false,
  mend: "Give Tidegate valid credentials of the stream's account: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of the machine; then restart it",
};
const foreignRegion: Meaning = {
  code: "KINESIS_DENIED",
  retryable: false,
  mend: "The server belongs to another region: correct the region in the URL, or the endpoint",
};
const encryption: Meaning = {
  code: "KINESIS_DENIED",
  retryable: false,
  mend: "The stream is encrypted: let Tidegate's identity use its KMS key (kms:GenerateDataKey to write, kms:Decrypt to read), and enable the key",
};

/** By the name of the exception in AWS. */
const meanings: Readonly<Record<string, Meaning>> = {
  ProvisionedThroughputExceededException: throttled,
  LimitExceededException: throttled,
  ThrottlingException: throttled,
  RequestLimitExceeded: throttled,
  KMSThrottlingException: throttled,
  CredentialsProviderError: unknownKey,
  UnrecognizedClientException: unknownKey,
  InvalidClientTokenId: unknownKey,
  IncompleteSignatureException: unknownKey,
  MissingAuthenticationTokenException: unknownKey,
  ExpiredTokenException: unknownKey,
  InvalidSignatureException: unknownKey,
  SignatureDoesNotMatch: unknownKey,
  RequestExpired: skewed,
  RequestTimeTooSkewed: skewed,
  KMSAccessDeniedException: encryption,
  KMSDisabledException: encryption,
  KMSInvalidStateException: encryption,
  KMSNotFoundException: encryption,
  KMSOptInRequired: encryption,
  InvalidArgumentException: { code: "KINESIS_REFUSED", retryable: false, mend: "" },
  ValidationException: { code: "KINESIS_REFUSED", retryable: false, mend: "" },
};

/**
 * The error of a failed call to Kinesis:
 * - KINESIS_THROTTLED (retryable): the call exceeded a limit of the shard or the account.
 * - KINESIS_DENIED: credentials, rights, encryption key or clock are wrong.
 * - STREAM_MISSING: the stream does not exist.
 * - KINESIS_REFUSED: Kinesis does not accept the arguments of the call.
 * - KINESIS_UNAVAILABLE (retryable) for anything else, from a lost connection to an invalid answer: the
 *   outcome of the call is unknown.
 *
 * `details.exception` is the name of the exception in AWS.
 */
export function kinesisError(cause: unknown, api: string, target: KinesisTarget): BridgeError {
  if (cause instanceof BridgeError) return cause;
  const { name, message } = cause instanceof Error ? cause : new Error(String(cause));
  const { code, retryable, mend } = meaningOf(cause, name, message, api, target);
  const reason = reasonOf(name, message, target);
  const text = `kinesis:${api} on ${target.streamName} in ${target.region}: ${reason}${mend && `. ${mend}`}`;
  return new BridgeError(code, text, { retryable, cause, details: { api, exception: name } });
}

export function exceptionOf(error: unknown): string | undefined {
  const name = error instanceof BridgeError ? error.details["exception"] : undefined;
  return typeof name === "string" ? name : undefined;
}

function meaningOf(
  cause: unknown,
  name: string,
  message: string,
  api: string,
  target: KinesisTarget,
): Meaning {
  // From now on, the SDK signs with the server's time, so a retry can succeed.
  if (isSkewCorrected(cause)) return unavailable;
  if (name === "InvalidSignatureException" && /expired|not yet current/i.test(message)) return skewed;
  if (name === "InvalidSignatureException" && /scoped to/i.test(message)) return foreignRegion;
  if (codeOf(cause) === "ENOTFOUND") return { ...unavailable, mend: unknownHost(target) };
  if (name === "AccessDeniedException") return denied(api);
  if (name === "ResourceNotFoundException") return missing(target);
  return meanings[name] ?? unavailable;
}

function isSkewCorrected(cause: unknown): boolean {
  const { $metadata } = cause as { $metadata?: { clockSkewCorrected?: unknown } };
  return $metadata?.clockSkewCorrected === true;
}

function codeOf(cause: unknown): unknown {
  return (cause as { code?: unknown } | null)?.code;
}

function unknownHost({ region, endpoint }: KinesisTarget): string {
  const wrong = endpoint === undefined ? `there is no region ${region}` : `${endpoint} is wrong`;
  return `If this machine resolves other names, ${wrong}: correct the URL`;
}

function denied(api: string): Meaning {
  const mend = `Allow kinesis:${api} on the stream to the identity that Tidegate runs as`;
  return { code: "KINESIS_DENIED", retryable: false, mend };
}

function missing({ streamName, region }: KinesisTarget): Meaning {
  const mend = `Create the stream ${streamName} in ${region} (--create does), or correct region and name in the URL`;
  return { code: "STREAM_MISSING", retryable: false, mend };
}

function reasonOf(name: string, message: string, { endpoint }: KinesisTarget): string {
  if (name === "SyntaxError")
    return `the answer is not one of Kinesis: another service, such as a proxy or a sign-in page, answers at ${endpoint ?? "its address"}. Correct the endpoint in the URL, or remove the other service`;
  const isPlain = name === "Error" || name === "TimeoutError" || message.startsWith(name);
  const sentence = message.replace(/\.$/, "");
  return isPlain ? sentence || name : `${name}: ${sentence}`;
}

/** True if the same call may succeed in a moment. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof BridgeError &&
    error.retryable &&
    ["KINESIS_THROTTLED", "KINESIS_UNAVAILABLE", "STREAM_TIMEOUT"].includes(error.code)
  );
}
