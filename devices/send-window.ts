import type { OutboxMessage } from "./outbox/outbox-reader.ts";

export interface SendLimits {
  /** Messages sent and not acknowledged. */
  readonly inFlightMax: number;
  /** Their payload bytes; one message may always be sent. */
  readonly inFlightMaxBytes: number;
  /** A message is sent only while its sequence is less than this above the oldest unacknowledged one's. */
  readonly maxAheadMessages: number;
  /**
   * Consecutive closes after which the oldest message is given up. Above 2, because only a message that was
   * alone in flight is to blame.
   */
  readonly refusalsMax: number;
  /** The oldest message is not to blame for a close that comes later than this after its sending, ms. */
  readonly refusalMaxMs: number;
}

const aloneAfterRefusals = 2;

interface Entry {
  readonly message: OutboxMessage;
  state: "waiting" | "sent" | "acknowledged";
  sends: number;
  sentAtMs: number;
}

/**
 * The messages that were read from the outbox and are not settled, in order. The window decides which message
 * may be sent next, what an acknowledgement settles and what a new connection must resend. It also decides
 * which message is to blame for a closed connection.
 *
 * Blame: the gateway answers a refused message by closing the connection at once, and MQTT 3.1.1 cannot say
 * which message it was. It was the oldest, unless acknowledgements of older ones were still on their way. So
 * after two closes with the same oldest message, the messages that were in flight are sent one at a time.
 * From then on, only a close upon a message that was alone counts.
 */
export class SendWindow {
  readonly #limits: SendLimits;
  readonly #entries: Entry[] = [];
  /** Entries before this index were sent on the present connection, or are acknowledged. */
  #nextIndex = 0;
  #inFlight = 0;
  #inFlightBytes = 0;
  #bytes = 0;
  #refusals = { sequence: 0, count: 0 };
  /** Up to this sequence messages are sent one at a time. */
  #aloneUpTo = 0;

  constructor(limits: SendLimits) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** When the oldest message without an acknowledgement was sent; null if no message waits. */
  get oldestSentAtMs(): number | null {
    const oldest = this.#entries[0];
    return oldest?.state === "sent" ? oldest.sentAtMs : null;
  }

  /**
   * How much more to read from the outbox. 0 messages while the window holds enough to send, so that reads
   * are few and large.
   */
  get wanted(): { maxMessages: number; maxBytes: number } {
    const { inFlightMax, inFlightMaxBytes } = this.#limits;
    const isEnough = this.#entries.length > inFlightMax || this.#bytes > inFlightMaxBytes;
    if (isEnough) return { maxMessages: 0, maxBytes: 0 };
    return { maxMessages: inFlightMax, maxBytes: inFlightMaxBytes };
  }

  /** Adds messages in the order of the outbox. */
  add(messages: readonly OutboxMessage[]): void {
    for (const message of messages) {
      this.#entries.push({ message, state: "waiting", sends: 0, sentAtMs: 0 });
      this.#bytes += message.payload.length;
    }
  }

  /**
   * The next message to send, now counted as in flight; null if no message may be sent. `isResend` = the
   * message was sent before.
   */
  next(nowMs: number): { message: OutboxMessage; isResend: boolean } | null {
    while (this.#entries[this.#nextIndex]?.state === "acknowledged") this.#nextIndex += 1;
    const entry = this.#entries[this.#nextIndex];
    if (!entry || !this.#maySend(entry)) return null;
    entry.state = "sent";
    entry.sentAtMs = nowMs;
    entry.sends += 1;
    this.#nextIndex += 1;
    this.#inFlight += 1;
    this.#inFlightBytes += entry.message.payload.length;
    return { message: entry.message, isResend: entry.sends > 1 };
  }

  #maySend(entry: Entry): boolean {
    if (this.#inFlight === 0) return true;
    const { inFlightMax, inFlightMaxBytes, maxAheadMessages } = this.#limits;
    const oldest = this.#entries[0]?.message.sequence ?? 0;
    if (oldest <= this.#aloneUpTo) return false;
    if (this.#inFlight >= inFlightMax) return false;
    if (this.#inFlightBytes + entry.message.payload.length > inFlightMaxBytes) return false;
    return entry.message.sequence - oldest < maxAheadMessages;
  }

  /**
   * Returns the messages that are settled now, oldest first. An acknowledgement out of order waits for the
   * older ones.
   */
  acknowledge(sequence: number): OutboxMessage[] {
    const entry = this.#entries.find(({ message }) => message.sequence === sequence);
    if (!entry || entry.state === "acknowledged") return [];
    this.#unsend(entry);
    entry.state = "acknowledged";
    return this.#removeAcknowledged();
  }

  /**
   * The connection ended: messages that were in flight wait again.
   * @param byPeer The other side ended the connection after it had accepted it. Any other end resets the
   * count of refusals.
   * @returns The message to give up now, or null. The message stays the oldest until `acknowledge` is called
   * for it.
   */
  connectionEnded({ byPeer, nowMs }: { byPeer: boolean; nowMs: number }): OutboxMessage | null {
    const oldest = this.#entries[0];
    const isRefusal =
      byPeer && oldest?.state === "sent" && nowMs - oldest.sentAtMs <= this.#limits.refusalMaxMs;
    const lastSent = this.#entries.findLast(({ state }) => state === "sent")?.message.sequence ?? 0;
    for (const entry of this.#entries) if (entry.state === "sent") this.#unsend(entry);
    this.#nextIndex = 0;
    if (!oldest || !isRefusal) {
      this.#refusals = { sequence: 0, count: 0 };
      return null;
    }
    const { sequence } = oldest.message;
    this.#refusals = { sequence, count: this.#refusals.sequence === sequence ? this.#refusals.count + 1 : 1 };
    if (this.#refusals.count >= aloneAfterRefusals) this.#aloneUpTo = Math.max(this.#aloneUpTo, lastSent);
    return this.#refusals.count >= this.#limits.refusalsMax ? oldest.message : null;
  }

  /**
   * The outbox no longer holds messages up to this sequence. Returns the messages that are settled now,
   * oldest first.
   */
  dropUpTo(sequence: number): OutboxMessage[] {
    while ((this.#entries[0]?.message.sequence ?? Number.POSITIVE_INFINITY) <= sequence) this.#removeOldest();
    return this.#removeAcknowledged();
  }

  #removeAcknowledged(): OutboxMessage[] {
    const removed: OutboxMessage[] = [];
    while (this.#entries[0]?.state === "acknowledged") removed.push(...this.#removeOldest());
    return removed;
  }

  #removeOldest(): OutboxMessage[] {
    const entry = this.#entries.shift();
    if (!entry) return [];
    this.#unsend(entry);
    this.#bytes -= entry.message.payload.length;
    this.#nextIndex = Math.max(0, this.#nextIndex - 1);
    return [entry.message];
  }

  #unsend(entry: Entry): void {
    if (entry.state !== "sent") return;
    entry.state = "waiting";
    this.#inFlight -= 1;
    this.#inFlightBytes -= entry.message.payload.length;
  }
}
