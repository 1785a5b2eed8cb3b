/** Where a QoS 2 message stands: `held` = not durable yet, `stored` = PUBREC was or is being written, PUBREL awaited. */
type ReceiveState = "held" | "stored";

/** Packet identifiers of QoS 2 messages of one session between PUBLISH and PUBREL [MQTT-4.3.3-2]. */
export class ReceivedIds {
  readonly #states = new Map<number, ReceiveState>();

  get size(): number {
    return this.#states.size;
  }

  state(messageId: number): ReceiveState | undefined {
    return this.#states.get(messageId);
  }

  hold(messageId: number): void {
    this.#states.set(messageId, "held");
  }

  stored(messageId: number): void {
    this.#states.set(messageId, "stored");
  }

  /** After PUBREL, or where the message could not be made durable and comes again. False where it was not known. */
  release(messageId: number): boolean {
    return this.#states.delete(messageId);
  }

  /** A new connection of the session: what was held by the old one comes again. */
  dropHeld(): void {
    for (const [messageId, state] of this.#states) if (state === "held") this.#states.delete(messageId);
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

  /** [MQTT-3.1.2-6] A clean session begins with nothing. */
  open(clientId: string, isClean: boolean): ReceivedIds {
    const known = this.#sessions.get(clientId);
    this.#sessions.delete(clientId);
    if (isClean) return new ReceivedIds();
    const ids = known ?? new ReceivedIds();
    ids.dropHeld();
    this.#sessions.set(clientId, ids);
    const oldest = this.#sessions.keys().next().value;
    if (this.#sessions.size > this.#sessionsMax && oldest !== undefined) this.#sessions.delete(oldest);
    return ids;
  }
}
