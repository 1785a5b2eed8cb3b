import { once } from "node:events";
import { connect as openSocket, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect, packetTypes } from "./mqtt-bytes.ts";

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

  /** Rejects where nobody listens. */
  static async open(port: number): Promise<HostileClient> {
    const socket = openSocket({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new HostileClient(socket);
  }

  /** With CONNECT accepted; null where it was not, or nobody listens. */
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
    this.#unread = Buffer.concat([this.#unread, data]);
    for (;;) {
      const head = headOf(this.#unread);
      if (!head || this.#unread.length < head.end) return;
      const body = this.#unread.subarray(head.begin, head.end);
      this.packets.push({ type: (this.#unread[0] as number) >> 4, body });
      this.#unread = this.#unread.subarray(head.end);
    }
  }
}

/** Where the body of the first packet begins and ends; null = its length is not there yet. */
function headOf(data: Buffer): { begin: number; end: number } | null {
  let length = 0;
  for (let index = 1; index < data.length; index++) {
    const digit = data[index] as number;
    length += (digit & 0x7f) * 128 ** (index - 1);
    if (digit < 128) return { begin: index + 1, end: index + 1 + length };
  }
  return null;
}
