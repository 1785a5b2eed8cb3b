import type { CommittedPositions } from "./messages.ts";

/**
 * Relays committed positions, one message at a time. While the other side accepts no messages (a stopped
 * process), only the newest position of each partition waits. So memory stays bounded.
 */
export class PositionsRelay {
  readonly #send: (committed: CommittedPositions, sent: () => void) => void;
  #pending: CommittedPositions | null = null;
  #isSending = false;

  /** @param send Calls `sent` once the message has left, or cannot leave. */
  constructor(send: (committed: CommittedPositions, sent: () => void) => void) {
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
