import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import mqtt, { type Packet } from "mqtt-packet";

/** One connection, seen from the broker. */
export interface RecordedConnection {
  readonly clientId: string;
  readonly packets: Packet[];
  /** When its CONNECT came; this and the end by `performance.now()`. */
  readonly beganAtMs: number;
  /** Set after the end of the connection. */
  endedAtMs: number | null;
}

/**
 * Acknowledges and records all packets. Keeps a session for each client that asks for one, and reports the
 * session in CONNACK. Tests read the packets that a client sent.
 */
export class RecordingBroker {
  readonly connections: RecordedConnection[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<string>();

  readonly #answerAfterMs: number;

  private constructor({ answerAfterMs = 0 }: { readonly answerAfterMs?: number }) {
    this.#answerAfterMs = answerAfterMs;
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  /** @param options `answerAfterMs`: how late it answers a PUBLISH, so that some are always in flight. */
  static async listen(options: { readonly answerAfterMs?: number } = {}): Promise<RecordingBroker> {
    const broker = new RecordingBroker(options);
    await new Promise<void>((resolve) => broker.#server.listen(0, "127.0.0.1", resolve));
    return broker;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let record: RecordedConnection | undefined;
    const parser = mqtt.parser({ protocolVersion: 4 });
    const answer = (packet: Packet): void => {
      if (socket.writable) socket.write(mqtt.generate(packet));
    };
    parser.on("packet", (packet: Packet) => {
      if (packet.cmd === "connect") {
        const sessionPresent = !packet.clean && this.#sessions.has(packet.clientId);
        if (packet.clean) this.#sessions.delete(packet.clientId);
        else this.#sessions.add(packet.clientId);
        record = { clientId: packet.clientId, packets: [], beganAtMs: performance.now(), endedAtMs: null };
        this.connections.push(record);
        answer({ cmd: "connack", returnCode: 0, sessionPresent });
      } else if (packet.cmd === "publish" && packet.qos > 0) {
        const { qos, messageId = 0 } = packet;
        const acknowledge = () => answer({ cmd: qos === 1 ? "puback" : "pubrec", messageId });
        if (this.#answerAfterMs === 0) acknowledge();
        else setTimeout(acknowledge, this.#answerAfterMs);
      } else if (packet.cmd === "pubrel") answer({ cmd: "pubcomp", messageId: packet.messageId ?? 0 });
      record?.packets.push(packet);
      if (packet.cmd === "disconnect") socket.end();
    });
    socket.on("data", (chunk) => parser.parse(chunk));
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (record) record.endedAtMs = performance.now();
    });
  }
}
