import type { CommittedPositions } from "./messages.ts";

/**
 * Hands committed positions on, one message at a time: while the other side takes nothing (a stopped process), only the newest position of
 * each partition waits, so that nothing piles up.
 */
export class PositionsRelay {
  readonly #send: (committed: CommittedPositions, taken: () => void) => void;
  #pending: CommittedPositions | null = null;
  #isSending = false;

  /** @param send Calls `taken` once the message has left. */
  constructor(send: (committed: CommittedPositions, taken: () => void) => void) {
    this.#send = send;
  }

  offer(committed: CommittedPositions): void {
    const earlier = this.#pending?.streamId === committed.streamId ? this.#pending.positions : {};
    this.#pending = { streamId: committed.streamId, positions: { ...earlier, ...committed.positions } };
    this.#sendPending();
  }

  #sendPending(): void {
    if (this.#isSending || this.#pending === null) return;
    const committed = this.#pending;
    this.#pending = null;
    this.#isSending = true;
    this.#send(committed, () => {
      this.#isSending = false;
      this.#sendPending();
    });
  }
}
