import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/**
 * How a line treats data: `pass`; `hold` = accepts and delivers nothing, in either direction, until it passes
 * again; `swallow-replies` = the server gets everything, the client nothing.
 */
export type LineFault = "pass" | "hold" | "swallow-replies";

type Pair = readonly [client: Socket, server: Socket];

/** A TCP line on 127.0.0.1 to a server, that can be cut, held, delayed and silenced. */
export class FaultProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #hung = new Set<Pair>();
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
    const server = createServer({ noDelay: true, pauseOnConnect: true }).listen(0, "127.0.0.1");
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
    for (const pair of this.#pairs) this.#apply(pair);
  }

  /** Holds the connections there are for ever; those made afterwards pass. */
  hang(): void {
    for (const pair of this.#pairs) {
      this.#hung.add(pair);
      this.#apply(pair);
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

  /** Ends all connections there are; bytes on the way are lost. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** As `cut`, but both sides see a reset. */
  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Connections stay open and new ones are taken, but nothing passes; then all of them are reset. */
  async silence(forMs: number): Promise<void> {
    this.set("hold");
    await delay(forMs);
    this.reset();
    this.set("pass");
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }

  #join(client: Socket): void {
    const server = connect({ host: "127.0.0.1", port: this.#targetPort, noDelay: true });
    const pair: Pair = [client, server];
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [server, client] as const]) {
      from.on("error", () => {});
      from.on("end", () => to.end());
      from.on("close", () => {
        this.#pairs.delete(pair);
        this.#hung.delete(pair);
        to.destroy();
      });
      from.on("data", (bytes) => {
        if (from === client) this.#sentBytes += bytes.length;
        else if (this.#fault === "swallow-replies") return;
        if (this.#delayMs > 0) setTimeout(() => to.write(bytes), this.#delayMs);
        else if (!to.write(bytes)) from.pause();
      });
      to.on("drain", () => this.#apply(pair));
    }
    this.#apply(pair);
  }

  #apply(pair: Pair): void {
    const isHeld = this.#fault === "hold" || this.#hung.has(pair);
    for (const socket of pair) {
      if (isHeld) socket.pause();
      else socket.resume();
    }
  }
}
