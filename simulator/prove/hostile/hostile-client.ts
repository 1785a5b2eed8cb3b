import { once } from "node:events";
import { connect as openSocket, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect, packetTypes } from "./mqtt-bytes.ts";
import { framesOf, packetType } from "./mqtt-frames.ts";

export interface ReceivedPacket {
  readonly type: number;
  readonly body: Buffer;
}

const pollMs = 10;
/** A busy machine may be that slow. */
const connectTimeoutMs = 60_000;

/** A connection on which any bytes can be sent, and that keeps which packets come back. */
export class HostileClient {
  readonly packets: ReceivedPacket[] = [];
  readonly #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (data) => this.#take(data));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isClosed = true;
    });
  }

  /** Rejects if no server listens. */
  static async open(port: number): Promise<HostileClient> {
    const socket = openSocket({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new HostileClient(socket);
  }

  /** Resolves after CONNECT was accepted; null if it was not, or if no server listens. */
  static async connected(port: number, clientId: string): Promise<HostileClient | null> {
    const client = await HostileClient.open(port).catch(() => null);
    if (!client) return null;
    client.write(connect({ clientId }));
    await client.until(() => client.of(packetTypes.connack).length > 0, connectTimeoutMs);
    if (client.of(packetTypes.connack)[0]?.body[1] === 0) return client;
    client.end();
    return null;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  of(type: number): ReceivedPacket[] {
    return this.packets.filter((each) => each.type === type);
  }

  write(data: Uint8Array): void {
    if (!this.#isClosed) this.#socket.write(data);
  }

  /** From now on nothing is read, though it stays open. */
  stopReading(): void {
    this.#socket.pause();
  }

  end(): void {
    this.#socket.destroy();
  }

  /** Resolves once it holds, the connection is closed, or the time is over, with whether it holds. */
  async until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    for (const endMs = performance.now() + timeoutMs; performance.now() < endMs; await delay(pollMs))
      if (condition() || this.#isClosed) break;
    return condition();
  }

  #take(data: Buffer): void {
    const bytes = Buffer.concat([this.#unread, data]);
    const { packets, restBytes } = framesOf(bytes);
    this.packets.push(...packets.map(({ first, body }) => ({ type: packetType(first), body })));
    this.#unread = bytes.subarray(bytes.length - restBytes);
  }
}
