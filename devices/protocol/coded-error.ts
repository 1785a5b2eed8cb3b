/**
 * An error that a program can act on: decide on `code` or `retryable`, never on the message.
 * Each folder has one subclass with its own list of codes.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code;
  /** True if the same call may succeed later without any change. */
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: Code,
    message: string,
    options: { retryable: boolean; cause?: unknown; details?: Record<string, unknown> },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable;
    this.details = options.details ?? {};
  }
}
