import { BridgeError } from "../errors.ts";

/** The first word of a Redis error is its kind. */
const full = /^(OOM|MISCONF)\b/;
const denied =
  /^(NOAUTH|WRONGPASS|NOPERM)\b|invalid password|without any password configured|^ERR The user executing the script/i;
const passing = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|NOREPLICAS|UNBLOCKED)\b/;

/**
 * The error of a failed call to Redis:
 * - REDIS_FULL (retryable): no memory or disk is left.
 * - REDIS_DENIED: the password or the rights are wrong.
 * - REDIS_KEY_TYPE: another application uses the key.
 * - REDIS_UNSUPPORTED: the server is not a cluster, but the URL says so.
 * - REDIS_UNAVAILABLE (retryable) for anything else, such as a lost connection or a time-out: the outcome of
 *   the call is unknown.
 */
export function redisError(cause: unknown, doing: string): BridgeError {
  if (cause instanceof BridgeError) return cause;
  const text = textOf(cause);
  const of = (code: "REDIS_FULL" | "REDIS_DENIED" | "REDIS_UNAVAILABLE", retryable: boolean) =>
    new BridgeError(code, `${doing}: ${text}`, { retryable, cause });
  if (full.test(text)) return of("REDIS_FULL", true);
  if (passing.test(text)) return of("REDIS_UNAVAILABLE", true);
  if (denied.test(text)) return of("REDIS_DENIED", false);
  if (/^WRONGTYPE\b/.test(text))
    return new BridgeError(
      "REDIS_KEY_TYPE",
      `${doing}: ${text}. Another application uses this name: give Tidegate a prefix of its own (?prefix=NAME in the URL)`,
      { retryable: false, cause },
    );
  if (/cluster support disabled/i.test(text))
    return new BridgeError(
      "REDIS_UNSUPPORTED",
      `${doing}: the server is no node of a cluster. Leave \`cluster=true\` out of its URL`,
      { retryable: false, cause },
    );
  return of("REDIS_UNAVAILABLE", true);
}

/** Replaces texts of the client library that do not help an operator. */
function textOf(cause: unknown): string {
  // The cluster's own error only says that all nodes failed.
  if (cause instanceof Error && "lastNodeError" in cause && cause.lastNodeError)
    return textOf(cause.lastNodeError);
  const text = cause instanceof Error ? cause.message : String(cause);
  if (/^Stream isn't writeable|^Connection is closed/.test(text))
    return "there is no connection to the server";
  return /^Command timed out/.test(text) ? "the server has not answered in time" : text;
}
