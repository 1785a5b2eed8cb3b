/** The properties that order and bound messages in flight. */
export interface InFlightMessage {
  readonly bytes: number;
  readonly acceptedAtMs: number;
  readonly isSettled: boolean;
}

/**
 * The messages of one session that the sink has not settled, in the order of arrival. They leave in that
 * order, even if messages of several devices settle in another one.
 */
export class InFlight<Message extends InFlightMessage> {
  #held: Message[] = [];
  #first = 0;
  bytes = 0;

  get count(): number {
    return this.#held.length - this.#first;
  }

  /** When the oldest waiting message was accepted; null if none waits. */
  get oldestAtMs(): number | null {
    return this.#held[this.#first]?.acceptedAtMs ?? null;
  }

  add(message: Message): void {
    this.#held.push(message);
    this.bytes += message.bytes;
  }

  /** Messages that were accepted before that time, the oldest first. */
  acceptedBefore(timeMs: number): Message[] {
    const old: Message[] = [];
    for (let index = this.#first; index < this.#held.length; index++) {
      const message = this.#held[index] as Message;
      if (message.acceptedAtMs >= timeMs) break;
      old.push(message);
    }
    return old;
  }

  /** Takes the first message if it is settled. */
  takeSettled(): Message | undefined {
    const message = this.#held[this.#first];
    if (!message?.isSettled) return undefined;
    this.#first += 1;
    this.bytes -= message.bytes;
    if (this.#first === this.#held.length) this.#held = [];
    else if (this.#first > 1024) this.#held = this.#held.slice(this.#first);
    else return message;
    this.#first = 0;
    return message;
  }
}
