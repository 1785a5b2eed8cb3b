import type { Logger } from "pino";
import { CodedError } from "../../devices/protocol/coded-error.ts";

/** Shortest time between two log lines with the same code, per partition. */
const repeatedFailureMs = 10_000;

interface Told {
  atMs: number;
  /** Messages that were given up since the last line and are not logged so far. */
  untoldMessages: number;
}

/**
 * Logs the blocks that one partition's producer gave up: the first of each code at once, then a sum of
 * further ones from time to time.
 */
export class FailureLog {
  readonly #logger: Logger;
  readonly #partition: number;
  /** By error code, so the number of codes bounds the size. */
  readonly #told = new Map<string, Told>();
  /** True if a failure was logged since the stream last stored a block. */
  #hasTold = false;

  constructor(logger: Logger, partition: number) {
    this.#logger = logger;
    this.#partition = partition;
  }

  failed(
    failure: Error,
    { sequence, messages, atMs }: { sequence: number; messages: number; atMs: number },
  ): void {
    const code = codeOf(failure);
    const told = this.#told.get(code);
    if (told && !isOld(told, atMs)) {
      told.untoldMessages += messages;
      return;
    }
    const fields = { ...this.#fields(code, messages + (told?.untoldMessages ?? 0)), sequence };
    // The stack of a coded error tells nothing more.
    const cause = failure instanceof CodedError ? { reason: failure.message } : { err: failure };
    // The first retryable failure is only a warning: it may pass at once, and devices resend the messages.
    const mayPass = failure instanceof CodedError && failure.retryable;
    const level = told || !mayPass ? "error" : "warn";
    this.#hasTold = true;
    this.#logger[level]({ ...fields, ...cause }, "gave up blocks: their messages are not acknowledged");
    this.#told.set(code, { atMs, untoldMessages: 0 });
  }

  /**
   * The stream stores blocks again: logs messages that were given up and not logged, unless the last line is
   * too recent.
   */
  recovered(atMs: number): void {
    if (this.#hasTold) {
      const fields = { event: "producer.block.recovered", partition: this.#partition };
      this.#logger.info(fields, "the stream takes blocks again");
    }
    this.#hasTold = false;
    for (const [code, told] of this.#told) {
      if (!isOld(told, atMs)) continue;
      this.#told.delete(code);
      if (told.untoldMessages > 0)
        this.#logger.warn(
          this.#fields(code, told.untoldMessages),
          "gave up blocks until the stream took them again: their messages are not acknowledged",
        );
    }
  }

  #fields(code: string, messages: number) {
    return { event: "producer.block.failed", partition: this.#partition, code, messages };
  }
}

function isOld({ atMs }: Told, nowMs: number): boolean {
  return nowMs - atMs >= repeatedFailureMs;
}

export function codeOf(failure: Error): string {
  return failure instanceof CodedError ? failure.code : "UNKNOWN";
}
