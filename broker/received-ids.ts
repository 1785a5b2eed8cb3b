/** A QoS 2 message between PUBLISH and PUBREL. Stored = it is durable: PUBREC was or is being written. */
interface Receipt {
  readonly messageId: number;
  isStored: boolean;
}

/** Packet identifiers of QoS 2 messages of one session between PUBLISH and PUBREL [MQTT-4.3.3-2]. */
export class ReceivedIds {
  readonly #receipts = new Map<number, Receipt>();

  get size(): number {
    return this.#receipts.size;
  }

  state(messageId: number): "held" | "stored" | undefined {
    const receipt = this.#receipts.get(messageId);
    if (!receipt) return undefined;
    return receipt.isStored ? "stored" : "held";
  }

  /** Settle what it returns: the identifier may belong to another message by the time that this one is settled. */
  hold(messageId: number): Receipt {
    const receipt = { messageId, isStored: false };
    this.#receipts.set(messageId, receipt);
    return receipt;
  }

  /** Where it could not be stored, it is forgotten: the message comes again. */
  settle(receipt: Receipt, isStored: boolean): void {
    receipt.isStored = isStored;
    if (!isStored && this.#receipts.get(receipt.messageId) === receipt)
      this.#receipts.delete(receipt.messageId);
  }

  /** PUBREL. */
  release(messageId: number): void {
    this.#receipts.delete(messageId);
  }

  /** A new connection of the session: what was held by the old one comes again. */
  dropHeld(): void {
    for (const [messageId, { isStored }] of this.#receipts) if (!isStored) this.#receipts.delete(messageId);
  }
}

/**
 * The QoS 2 state of persistent sessions, across connections; in memory, so a broker that was killed takes a resent message for a new
 * one, and the dedupe window drops it. The oldest session goes when there are too many.
 */
export class ReceivedIdsOfSessions {
  readonly #sessionsMax: number;
  readonly #sessions = new Map<string, ReceivedIds>();

  constructor(options: { sessionsMax: number }) {
    this.#sessionsMax = options.sessionsMax;
  }

  /** [MQTT-3.1.2-6] A clean session begins with nothing. The old connection may still be open; see `dropHeld`. */
  open(clientId: string, isClean: boolean): ReceivedIds {
    const known = this.#sessions.get(clientId);
    this.#sessions.delete(clientId);
    if (isClean) return new ReceivedIds();
    const ids = known ?? new ReceivedIds();
    this.#sessions.set(clientId, ids);
    const oldest = this.#sessions.keys().next().value;
    if (this.#sessions.size > this.#sessionsMax && oldest !== undefined) this.#sessions.delete(oldest);
    return ids;
  }
}
