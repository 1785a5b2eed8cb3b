export interface HeldMessage {
  readonly messageId: number;
  readonly qos: 0 | 1 | 2;
  readonly bytes: number;
  readonly acceptedAtMs: number;
  isSettled: boolean;
}

/**
 * The messages of one connection that the sink has not settled, in the order they arrived. Acknowledgements leave in that order
 * [MQTT-4.6.0-2], also where messages of several devices settle in another one.
 */
export class InFlight {
  #held: HeldMessage[] = [];
  #first = 0;
  bytes = 0;

  get count(): number {
    return this.#held.length - this.#first;
  }

  /** When the oldest message that waits was accepted; null where none waits. */
  get oldestAtMs(): number | null {
    return this.#held[this.#first]?.acceptedAtMs ?? null;
  }

  add(message: HeldMessage): void {
    this.#held.push(message);
    this.bytes += message.bytes;
  }

  /** Takes the settled messages from the front. */
  takeSettled(each: (message: HeldMessage) => void): void {
    for (;;) {
      const message = this.#held[this.#first];
      if (!message?.isSettled) break;
      this.#first += 1;
      this.bytes -= message.bytes;
      each(message);
    }
    if (this.#first === this.#held.length) this.#held = [];
    else if (this.#first > 1024) this.#held = this.#held.slice(this.#first);
    else return;
    this.#first = 0;
  }
}
