import type { Logger } from "pino";
import { CodedError } from "../../devices/protocol/coded-error.ts";

/** A reason for which blocks are given up is told this often, per partition. */
const REPEATED_FAILURE_MS = 10_000;

interface Told {
  atMs: number;
  /** Given up since then, and not told. */
  untoldMessages: number;
}

/** Says in the log what one partition's producer gave up: each reason at once, then all that came since, once in a while. */
export class FailureLog {
  readonly #logger: Logger;
  readonly #partition: number;
  /** By code: as many as there are codes. */
  readonly #told = new Map<string, Told>();
  /** Told of since the stream took a block. */
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
    // A stack says nothing more of a failure that is known.
    const cause = failure instanceof CodedError ? { reason: failure.message } : { err: failure };
    // The first time it may pass at once, if the stream says that it may; devices send the messages again.
    const mayPass = failure instanceof CodedError && failure.retryable;
    const level = told || !mayPass ? "error" : "warn";
    this.#hasTold = true;
    this.#logger[level]({ ...fields, ...cause }, "gave up blocks: their messages are not acknowledged");
    this.#told.set(code, { atMs, untoldMessages: 0 });
  }

  /** The stream takes blocks: tells what was given up and is not told yet, where it is not too soon. */
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
  return nowMs - atMs >= REPEATED_FAILURE_MS;
}

export function codeOf(failure: Error): string {
  return failure instanceof CodedError ? failure.code : "UNKNOWN";
}
