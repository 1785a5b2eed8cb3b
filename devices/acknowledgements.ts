import { DeviceError } from "./errors.ts";

const lost = new DeviceError("MESSAGE_DAMAGED", "the outbox's file was damaged: the message is lost", {
  retryable: false,
});

interface Waiting {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: DeviceError) => void;
}

interface FailedRange {
  readonly from: number;
  readonly to: number;
  readonly error: DeviceError;
}

/** How many ranges of failed messages are remembered for a caller who asks for their outcome afterwards. */
const failedRangesMax = 1_024;

/**
 * Promises of the outcome of messages. A promise is made only if a caller asks, so a backlog of days costs no
 * memory. Messages are settled in the order of their sequences.
 */
export class Acknowledgements {
  readonly #waiting = new Map<number, Waiting>();
  readonly #failed: FailedRange[] = [];
  #settledUpTo: number;
  #closed: DeviceError | null = null;

  constructor(settledUpTo: number) {
    this.#settledUpTo = settledUpTo;
  }

  /**
   * Resolves when the message is acknowledged; rejects with MESSAGE_REJECTED, MESSAGE_DROPPED,
   * MESSAGE_DAMAGED or CLIENT_CLOSED.
   */
  of(sequence: number): Promise<void> {
    const waiting = this.#waiting.get(sequence);
    if (waiting) return waiting.promise;
    const failure = this.#failed.find(({ from, to }) => from <= sequence && sequence <= to)?.error;
    if (failure) return handled(Promise.reject(failure));
    if (sequence <= this.#settledUpTo) return Promise.resolve();
    return this.#closed ? handled(Promise.reject(this.#closed)) : this.#wait(sequence);
  }

  #wait(sequence: number): Promise<void> {
    let settle: Omit<Waiting, "promise"> | null = null;
    const promise = handled(
      new Promise<void>((resolve, reject) => {
        settle = { resolve, reject };
      }),
    );
    if (settle) this.#waiting.set(sequence, Object.assign(settle as Omit<Waiting, "promise">, { promise }));
    return promise;
  }

  /** Messages that were skipped before this one could not be read back from the outbox. */
  acknowledged(sequence: number): void {
    this.failedUpTo(sequence - 1, lost);
    this.#settledUpTo = sequence;
    this.#waiting.get(sequence)?.resolve();
    this.#waiting.delete(sequence);
  }

  /** Everything up to this sequence that is not settled yet has failed. */
  failedUpTo(to: number, error: DeviceError): void {
    const from = this.#settledUpTo + 1;
    if (to < from) return;
    this.#settledUpTo = to;
    this.#failed.push({ from, to, error });
    if (this.#failed.length > failedRangesMax) this.#failed.shift();
    for (const [sequence, waiting] of this.#waiting) {
      if (sequence > to) continue;
      waiting.reject(error);
      this.#waiting.delete(sequence);
    }
  }

  close(error: DeviceError): void {
    this.#closed = error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

/** A caller may ignore the outcome, so a rejection that no one awaits must not end the process. */
function handled(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}
