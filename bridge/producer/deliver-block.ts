import { fullJitterDelayMs } from "../../devices/protocol/backoff.ts";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { BridgeError } from "../errors.ts";
import type { ProducerClock } from "./producer-clock.ts";

/** A block whose deadline passed while it waited still gets one attempt of this length. */
const firstAttemptMinMs = 1000;

export interface Delivery {
  /** Appends the block; called again with the same bytes after a failure. */
  readonly append: () => Promise<unknown>;
  /** Deadline by `clock.elapsedMs`. */
  readonly deadlineAtMs: number;
  /** null = only one attempt. */
  readonly backOff: { readonly baseMs: number; readonly maxMs: number } | null;
  readonly clock: ProducerClock;
  readonly random: () => number;
  /** Called for each failure after which another attempt follows. */
  readonly onRetry: (failure: CodedError, attempt: number) => void;
}

/**
 * Appends a block, and retries until the block is durable, its deadline has passed, or an error is not
 * retryable. Resolves with null, or with why the block was given up. A block that was given up may still be,
 * or appear, in the stream.
 */
export async function deliverBlock(delivery: Delivery): Promise<Error | null> {
  const { clock, deadlineAtMs, backOff } = delivery;
  for (let attempt = 0; ; attempt++) {
    const leftMs = Math.max(deadlineAtMs - clock.elapsedMs(), attempt === 0 ? firstAttemptMinMs : 0);
    const failure = await within(leftMs, clock, delivery.append);
    if (failure === null) return null;
    if (!(failure instanceof CodedError && failure.retryable)) return asError(failure);
    if (!backOff || clock.elapsedMs() >= deadlineAtMs) return givenUp(failure, attempt + 1);
    delivery.onRetry(failure, attempt);
    const delayMs = fullJitterDelayMs(attempt, backOff, delivery.random);
    await pause(Math.min(delayMs, deadlineAtMs - clock.elapsedMs()), clock);
    if (clock.elapsedMs() >= deadlineAtMs) return givenUp(failure, attempt + 1);
  }
}

/**
 * Resolves with null once the append is confirmed, otherwise with the failure. A stream without an answer
 * gives STREAM_TIMEOUT.
 */
async function within(
  limitMs: number,
  clock: ProducerClock,
  append: () => Promise<unknown>,
): Promise<unknown> {
  return await new Promise((resolve) => {
    const cancel = clock.after(limitMs, () => {
      resolve(
        new BridgeError("STREAM_TIMEOUT", `the stream has not answered for ${limitMs} ms`, {
          retryable: true,
        }),
      );
    });
    Promise.resolve()
      .then(append)
      .then(
        () => {
          cancel();
          resolve(null);
        },
        (failure: unknown) => {
          cancel();
          resolve(failure ?? new Error("the stream gave no reason"));
        },
      );
  });
}

async function pause(delayMs: number, clock: ProducerClock): Promise<void> {
  await new Promise<void>((resolve) => void clock.after(Math.max(0, delayMs), resolve));
}

function givenUp(failure: CodedError, attempts: number): BridgeError {
  return new BridgeError(
    "PRODUCER_DEADLINE",
    `the stream did not store a block in ${attempts} attempts: ${failure.message}`,
    {
      retryable: true,
      cause: failure,
      details: { attempts, code: failure.code },
    },
  );
}

function asError(failure: unknown): Error {
  return failure instanceof Error ? failure : new Error(String(failure));
}
