import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { BridgeError } from "../../errors.ts";

/** MDB_MAP_FULL: lmdb's code for a map that cannot grow. */
const mapFull = -30792;
const noSpaceCodes = new Set([constants.errno.ENOSPC, constants.errno.EDQUOT, mapFull]);
const causeWaitMs = 1000;

/**
 * The error of a failed commit. lmdb-js rejects with a general error first and tells the cause through a
 * second promise.
 * - STREAM_FULL: no data was written, and a later attempt may succeed.
 * - STREAM_FLUSH_FAILED: the state on the disk is unknown, so the process must exit without another
 *   acknowledgement. A failed flush must not be retried, because the kernel forgets the failure.
 * @param isOutOfSpace Asked if lmdb's code does not tell the two apart.
 */
export async function commitFailure(
  error: unknown,
  isOutOfSpace: () => Promise<boolean>,
): Promise<BridgeError> {
  const cause = await causeOf(error);
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  const text = cause instanceof Error ? cause.message : String(cause);
  // lmdb reports a short write as an I/O error. At that time, no page refers to the written data.
  const isFull = code === constants.errno.EIO ? await isOutOfSpace() : noSpaceCodes.has(Number(code));
  if (isFull) {
    return new BridgeError(
      "STREAM_FULL",
      `no space left for the stream: ${text}. Free disk space, or let the consumer trim the stream`,
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
  // lmdb-js never tells some codes, so the wait is bounded.
  return await Promise.race([
    Promise.resolve(error.commitError).then(
      () => error,
      (cause: unknown) => cause,
    ),
    sleep(causeWaitMs, error, { ref: false }),
  ]);
}
