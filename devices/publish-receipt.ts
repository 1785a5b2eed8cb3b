import type { Acknowledgements } from "./acknowledgements.ts";

/** A message that is durable in the outbox. */
export interface PublishReceipt {
  /** 32 hexadecimal digits; never used for another message. */
  readonly id: string;
  /**
   * Resolves when the gateway has acknowledged the message.
   *
   * Rejects with MESSAGE_REJECTED, MESSAGE_DROPPED or MESSAGE_DAMAGED if the message is given up. Rejects
   * with CLIENT_CLOSED if the client is closed before: the message then stays in the outbox for the next
   * client.
   *
   * The promise is made when the property is first read. Reading it is optional.
   */
  readonly acknowledged: Promise<void>;
}

export class Receipt implements PublishReceipt {
  readonly id: string;
  readonly #sequence: number;
  readonly #acknowledgements: Acknowledgements;

  constructor(id: string, sequence: number, acknowledgements: Acknowledgements) {
    this.id = id;
    this.#sequence = sequence;
    this.#acknowledgements = acknowledgements;
  }

  get acknowledged(): Promise<void> {
    return this.#acknowledgements.of(this.#sequence);
  }
}
