import { once } from "node:events";
import { connect, type Socket } from "node:net";
import mqttPacket, { type Packet } from "mqtt-packet";
import { longestWaitMs } from "./until.ts";

/**
 * An MQTT client of single packets: sends packets that a well-behaved client would not, and keeps the
 * answers.
 */
export class RawMqtt {
  readonly socket: Socket;
  readonly packets: Packet[] = [];
  isClosed = false;
  readonly #parser = mqttPacket.parser({ protocolVersion: 4 });

  private constructor(socket: Socket) {
    this.socket = socket;
    this.#parser.on("packet", (packet) => this.packets.push(packet));
    socket.on("data", (data) => this.#parser.parse(data));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  static async open(port: number, localAddress?: string): Promise<RawMqtt> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, ...(localAddress && { localAddress }) });
    await once(socket, "connect");
    return new RawMqtt(socket);
  }

  /** Connects and waits for CONNACK. */
  static async connected(port: number, options: Partial<Record<string, unknown>> = {}): Promise<RawMqtt> {
    const client = await RawMqtt.open(port);
    client.connect(options);
    await client.until(() => client.of("connack").length > 0);
    return client;
  }

  connect(options: Partial<Record<string, unknown>> = {}): void {
    const packet = {
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: true,
      clientId: "raw",
      keepalive: 60,
    };
    this.send({ ...packet, ...options } as Packet);
  }

  publish(
    topic: string,
    payload: string,
    options: { qos?: 0 | 1 | 2; messageId?: number; dup?: boolean; retain?: boolean } = {},
  ): void {
    this.send(publishPacket(topic, payload, options));
  }

  send(...packets: Packet[]): void {
    this.socket.write(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet))));
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  of(command: string): Packet[] {
    return this.packets.filter(({ cmd }) => cmd === command);
  }

  acknowledgedIds(): number[] {
    return this.of("puback").map(({ messageId }) => messageId ?? 0);
  }

  /** Resolves once it holds; fails after `timeoutMs`. */
  async until(condition: () => boolean, timeoutMs = longestWaitMs): Promise<void> {
    const endMs = Date.now() + timeoutMs;
    while (!condition()) {
      if (Date.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  closed(timeoutMs = longestWaitMs): Promise<void> {
    return this.until(() => this.isClosed, timeoutMs);
  }

  end(): void {
    this.socket.destroy();
  }
}

export function publishPacket(
  topic: string,
  payload: string,
  options: { qos?: 0 | 1 | 2; messageId?: number; dup?: boolean; retain?: boolean } = {},
): Packet {
  const { qos = 1, messageId = 1, dup = false, retain = false } = options;
  return { cmd: "publish", topic, payload, qos, dup, retain, ...(qos > 0 ? { messageId } : {}) } as Packet;
}
