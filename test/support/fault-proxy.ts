import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";

/**
 * How a line treats what comes over it: `pass`; `hold` = accepts and delivers nothing, in either direction, until it passes again;
 * `swallow-replies` = the server gets everything, the client nothing.
 */
export type LineFault = "pass" | "hold" | "swallow-replies";

/** A TCP line on 127.0.0.1 to a server, that can be cut, held, delayed and reset. */
export class FaultProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [client: Socket, server: Socket]>();
  readonly #hung = new Set<readonly [client: Socket, server: Socket]>();
  #targetPort: number;
  #fault: LineFault = "pass";
  #delayMs = 0;
  /** Bytes that clients have sent. */
  #sentBytes = 0;

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.#targetPort = targetPort;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (client) => this.#join(client));
  }

  static async start(targetPort: number): Promise<FaultProxy> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FaultProxy(server, targetPort);
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  set(fault: LineFault): void {
    this.#fault = fault;
    for (const pair of this.#pairs) if (!this.#hung.has(pair)) this.#apply(...pair);
  }

  /** Holds the connections there are for ever; those made afterwards pass. */
  hang(): void {
    for (const pair of this.#pairs) {
      this.#hung.add(pair);
      for (const socket of pair) socket.pause();
    }
  }

  /** Delivers everything so much later, in both directions. */
  delay(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Leads to another server from now on; connections to the old one end. */
  retarget(port: number): void {
    this.#targetPort = port;
    this.cut();
  }

  /** Ends all connections there are. */
  cut(): void {
    for (const sockets of this.#pairs) for (const socket of sockets) socket.destroy();
  }

  /** As `cut`, but clients see a reset. */
  reset(): void {
    for (const [client, server] of this.#pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client: Socket): void {
    const server = createConnection(this.#targetPort, "127.0.0.1");
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [server, client] as const]) {
      from.on("error", () => {});
      from.on("close", () => {
        this.#pairs.delete(pair);
        this.#hung.delete(pair);
        to.destroy();
      });
      from.on("data", (bytes) => {
        if (from === client) this.#sentBytes += bytes.length;
        else if (this.#fault === "swallow-replies") return;
        if (this.#delayMs === 0) to.write(bytes);
        else setTimeout(() => to.write(bytes), this.#delayMs);
      });
    }
    this.#apply(client, server);
  }

  #apply(...sockets: readonly Socket[]): void {
    for (const socket of sockets) {
      if (this.#fault === "hold") socket.pause();
      else socket.resume();
    }
  }
}
