import { setTimeout as delay } from "node:timers/promises";
import { fullJitterDelayMs } from "../../../../devices/protocol/backoff.ts";
import { BridgeError } from "../../../errors.ts";
import type { S3Config } from "./s3-config.ts";
import { s3Error } from "./s3-error.ts";
import type { S3Target } from "./s3-url.ts";

const backOff = { baseMs: 100, maxMs: 3000 };

export interface S3RequestsOptions {
  readonly target: S3Target;
  readonly config: Pick<S3Config, "timeoutMs" | "connectTimeoutMs" | "attempts">;
  readonly random?: () => number;
  readonly sleep?: (delayMs: number) => Promise<unknown>;
  /** Aborts requests and retries until `hasWorked`. */
  readonly signal?: AbortSignal;
}

/** What one request is about. */
export interface S3Request {
  /** Name in the API, such as `PutObject`. */
  readonly operation: string;
  readonly key: string;
  /** Default: `s3.timeoutMs`. */
  readonly timeoutMs?: number;
}

/** Sends requests with a deadline and a bounded number of attempts. Errors say what to do. */
export class S3Requests {
  readonly #options: S3RequestsOptions;
  readonly #random: () => number;
  readonly #sleep: (delayMs: number) => Promise<unknown>;
  #hasWorked = false;

  constructor(options: S3RequestsOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#sleep = options.sleep ?? ((delayMs) => delay(delayMs));
  }

  /** From now on every failure is retryable, because a change during the run caused it and may be undone. */
  hasWorked(): void {
    this.#hasWorked = true;
  }

  /** Sends a request once. Rejects at the deadline; a later answer is ignored. */
  async once<Output>(request: S3Request, send: (signal: AbortSignal) => Promise<Output>): Promise<Output> {
    const { connectTimeoutMs } = this.#options.config;
    const { timeoutMs = this.#options.config.timeoutMs } = request;
    const aborted = new AbortController();
    const signal = this.#hasWorked ? undefined : this.#options.signal;
    const stop = (): void => aborted.abort();
    signal?.addEventListener("abort", stop, { once: true });
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(Object.assign(new Error("no answer in time"), { name: "TimeoutError" }));
        aborted.abort();
      }, timeoutMs + connectTimeoutMs);
    });
    try {
      const sent = send(aborted.signal);
      // An answer after the deadline must not become an unhandled rejection.
      sent.catch(() => {});
      return await Promise.race([sent, deadline]);
    } catch (error) {
      throw this.translate(error, request);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Sends a request that is safe to repeat, until it has an outcome or `s3.attempts` attempts had none. */
  async retried<Output>(request: S3Request, send: (signal: AbortSignal) => Promise<Output>): Promise<Output> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.once(request, send);
      } catch (error) {
        const isStopped = !this.#hasWorked && this.#options.signal?.aborted;
        if (!isPassing(error) || isStopped || attempt >= this.#options.config.attempts) throw error;
        await this.pause(attempt);
      }
    }
  }

  /**
   * Waits before the next attempt.
   * @param attempt Number of attempts so far.
   */
  async pause(attempt: number): Promise<void> {
    await this.#sleep(fullJitterDelayMs(attempt - 1, backOff, this.#random));
  }

  translate(cause: unknown, { operation, key }: S3Request): BridgeError {
    const error = s3Error(cause, { target: this.#options.target, operation, key });
    if (error.retryable || !this.#hasWorked || !error.code.startsWith("S3_")) return error;
    return new BridgeError(error.code, error.message, { retryable: true, cause, details: error.details });
  }
}

/** Whether another attempt may succeed at once. Faults that someone has to repair are left to the caller. */
export function isPassing(error: unknown): error is BridgeError {
  return (
    error instanceof BridgeError && (error.code === "STORE_UNAVAILABLE" || error.code === "S3_CLOCK_SKEW")
  );
}
