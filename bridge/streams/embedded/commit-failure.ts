import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { BridgeError } from "../../errors.ts";

/** lmdb's own code for a map that cannot grow. */
const mapFull = -30792;
const noSpaceCodes = new Set([constants.errno.ENOSPC, constants.errno.EDQUOT, mapFull]);
const causeWaitMs = 1000;

/**
 * What a failed commit means. lmdb-js rejects with a general error first and tells the cause through a second promise.
 * STREAM_FULL: nothing was written and trying again later may succeed. STREAM_FLUSH_FAILED: what is on disk is unknown, so the process
 * must exit without acknowledging anything more; a failed flush must not be tried again, since the kernel forgets it.
 * @param isOutOfSpace Asked where lmdb's code does not tell the two apart.
 */
export async function commitFailure(
  error: unknown,
  isOutOfSpace: () => Promise<boolean>,
): Promise<BridgeError> {
  const cause = await causeOf(error);
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  const text = cause instanceof Error ? cause.message : String(cause);
  // A write that is cut short is an I/O error to lmdb. It comes before anything refers to what was written.
  const isFull = code === constants.errno.EIO ? await isOutOfSpace() : noSpaceCodes.has(Number(code));
  if (isFull) {
    return new BridgeError(
      "STREAM_FULL",
      `no space left for the stream: ${text}. Free some, or let it be trimmed`,
      {
        retryable: true,
        cause,
      },
    );
  }
  return flushFailed(`the stream could not be written: ${text}`, cause);
}

export function flushFailed(text: string, cause?: unknown): BridgeError {
  return new BridgeError("STREAM_FLUSH_FAILED", `${text}. The process must exit and start again`, {
    retryable: false,
    cause,
  });
}

async function causeOf(error: unknown): Promise<unknown> {
  if (typeof error !== "object" || error === null || !("commitError" in error)) return error;
  // Some codes are never told, so the wait is bounded.
  return await Promise.race([
    Promise.resolve(error.commitError).then(
      () => error,
      (cause: unknown) => cause,
    ),
    sleep(causeWaitMs, error, { ref: false }),
  ]);
}
