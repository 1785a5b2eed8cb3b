import { createHash } from "node:crypto";

/**
 * A QoS 2 message between PUBLISH and PUBREL. Stored = the message is durable: PUBREC was or is being
 * written.
 */
interface Receipt {
  readonly messageId: number;
  /** Of its topic name and payload: distinguishes the message from a later one with the same identifier. */
  readonly contentHash: string;
  isStored: boolean;
}

/**
 * Receipts of QoS 2 messages of one session between PUBLISH and PUBREL [MQTT-4.3.3-2].
 *
 * An identifier alone does not identify the message: a client that lost its state, or used another gateway
 * meanwhile, reuses it while the receipt is still here. DUP does not identify it either. So a message is
 * known only if its topic name and payload are.
 */
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

  /** The state of this very message; undefined if the identifier is free or is that of another message. */
  stateOf(messageId: number, contentHash: string): "held" | "stored" | undefined {
    const isSame = this.#receipts.get(messageId)?.contentHash === contentHash;
    return isSame ? this.state(messageId) : undefined;
  }

  /** Settle the returned receipt, not the identifier: another message may have the identifier by then. */
  hold(messageId: number, contentHash: string): Receipt {
    const receipt = { messageId, contentHash, isStored: false };
    this.#receipts.set(messageId, receipt);
    return receipt;
  }

  /** A message that could not be stored is forgotten, because the client sends it again. */
  settle(receipt: Receipt, isStored: boolean): void {
    receipt.isStored = isStored;
    if (!isStored && this.#receipts.get(receipt.messageId) === receipt)
      this.#receipts.delete(receipt.messageId);
  }

  /** The client sent PUBREL. */
  release(messageId: number): void {
    this.#receipts.delete(messageId);
  }

  /** A new connection of the session: the client sends the messages that the old one held again. */
  dropHeld(): void {
    for (const [messageId, { isStored }] of this.#receipts) if (!isStored) this.#receipts.delete(messageId);
  }
}

/**
 * The QoS 2 state of persistent sessions, across connections, in memory. So a broker that was killed takes a
 * resent message for a new one, and the dedupe window drops it. If there are too many sessions, the oldest is
 * dropped.
 */
export class ReceivedIdsOfSessions {
  readonly #sessionsMax: number;
  readonly #sessions = new Map<string, { readonly ids: ReceivedIds; readonly isResumed: boolean }>();

  constructor(options: { sessionsMax: number }) {
    this.#sessionsMax = options.sessionsMax;
  }

  /**
   * [MQTT-3.1.2-6] A clean session begins without state. The old connection may still be open; see
   * `dropHeld`.
   */
  open(clientId: string, isClean: boolean): ReceivedIds {
    const known = this.#sessions.get(clientId);
    this.#sessions.delete(clientId);
    if (isClean) return new ReceivedIds();
    const ids = known?.ids ?? new ReceivedIds();
    this.#sessions.set(clientId, { ids, isResumed: known !== undefined });
    const oldest = this.#sessions.keys().next().value;
    if (this.#sessions.size > this.#sessionsMax && oldest !== undefined) this.#sessions.delete(oldest);
    return ids;
  }

  /** Whether the last `open` of this client found a session [MQTT-3.2.2-2]. */
  isResumed(clientId: string): boolean {
    return this.#sessions.get(clientId)?.isResumed ?? false;
  }
}

/** SHA-256 over the topic name, which holds no U+0000 [MQTT-1.5.3-2], and the payload. */
export function contentHashOf({ topic, payload }: { topic: string; payload: Uint8Array }): string {
  return createHash("sha256").update(topic).update("\0").update(payload).digest("base64");
}
