import { RawMqtt } from "./raw-mqtt.ts";

/**
 * Anonymous devices that publish on `fleet/<own name>/telemetry`, each as soon as its last message is
 * acknowledged.
 */
export class Bystanders {
  readonly #clients: readonly RawMqtt[];
  readonly #loops: Promise<void>[];
  #isStopped = false;
  #longestMs = 0;
  acknowledged = 0;

  private constructor(clients: readonly RawMqtt[]) {
    this.#clients = clients;
    this.#loops = clients.map((client, index) => this.#publish(client, `fleet/by${index}/telemetry`));
  }

  static async start(port: number, count = 10): Promise<Bystanders> {
    const connected = Array.from({ length: count }, (_, index) =>
      RawMqtt.connected(port, { clientId: `by${index}` }),
    );
    return new Bystanders(await Promise.all(connected));
  }

  /** The longest wait of any of them for a PUBACK so far, in ms. Throws if a connection was closed. */
  async stop(): Promise<number> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
    for (const client of this.#clients) client.end();
    return this.#longestMs;
  }

  async #publish(client: RawMqtt, topic: string): Promise<void> {
    for (let messageId = 1; !this.#isStopped; messageId = (messageId % 65_535) + 1) {
      const beganAtMs = performance.now();
      client.publish(topic, "{}", { messageId });
      await client.until(() => client.of("puback").length > 0 || client.isClosed);
      if (client.isClosed) throw new Error("a bystander was cut");
      this.#longestMs = Math.max(this.#longestMs, performance.now() - beganAtMs);
      this.acknowledged += 1;
      client.packets.length = 0;
    }
  }
}
