import { BridgeError } from "../errors.ts";

/** Redis begins an error's text with its kind. */
const full = /^(OOM|MISCONF)\b/;
const denied =
  /^(NOAUTH|WRONGPASS|NOPERM)\b|invalid password|without any password configured|^ERR The user executing the script/i;
const passing = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|NOREPLICAS|UNBLOCKED)\b/;

/**
 * What a failed call to Redis means. REDIS_FULL (retryable): no memory or disk left. REDIS_DENIED: password or rights.
 * REDIS_KEY_TYPE: somebody else's key stands where ours should. REDIS_UNSUPPORTED: it is no cluster, but was named as one. Anything else, from a lost connection to a time-out, is
 * REDIS_UNAVAILABLE (retryable): the outcome of the call is unknown.
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

/** What the client library says of a server that is away is of no use to whoever reads it. */
function textOf(cause: unknown): string {
  // A cluster's own error only says that no node was of use.
  if (cause instanceof Error && "lastNodeError" in cause && cause.lastNodeError)
    return textOf(cause.lastNodeError);
  const text = cause instanceof Error ? cause.message : String(cause);
  if (/^Stream isn't writeable|^Connection is closed/.test(text))
    return "there is no connection to the server";
  return /^Command timed out/.test(text) ? "the server has not answered in time" : text;
}
