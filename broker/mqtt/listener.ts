import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { readAheadBytes } from "../client-limits.ts";
import { BrokerError } from "../errors.ts";
import { RateLimit, type RefusalFields } from "../ingest/index.ts";

/** TCP's own probes find dead peers if a client asked for no keep alive. */
const tcpKeepAliveMs = 60_000;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly acceptPerSecond: number;
  readonly now: () => number;
  readonly accept: (socket: Socket) => void;
  readonly refused: (socket: Socket, excess: RefusalFields) => void;
}

/** MQTT over TCP. Connections above the limits are closed before any of their bytes is read. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: ListenerOptions) {
    this.#options = options;
    const rate = new RateLimit(options.acceptPerSecond);
    const socketOptions = { noDelay: true, highWaterMark: readAheadBytes };
    this.#server = createServer(socketOptions, (socket) => {
      const excess = this.#excess(rate);
      if (excess) {
        options.refused(socket, excess);
        socket.destroy();
        return;
      }
      socket.setKeepAlive(true, tcpKeepAliveMs);
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      options.accept(socket);
    });
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** The limit that one more connection would exceed; null = none. */
  #excess(rate: RateLimit): RefusalFields | null {
    const { maxConnections, acceptPerSecond, now } = this.#options;
    const actual = this.#sockets.size + 1;
    if (actual > maxConnections) return { bound: "maxConnections", limit: maxConnections, actual };
    return rate.take(now()) ? null : { bound: "acceptPerSecond", limit: acceptPerSecond };
  }

  /** Throws MQTT_ADDRESS_UNUSABLE. */
  async listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    try {
      this.#server.listen({ host, port, backlog: 4_096 });
      await once(this.#server, "listening");
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? "";
      const mend =
        code === "EADDRINUSE"
          ? "another program listens there: stop it, or choose another port with --mqtt HOST:PORT"
          : "choose another address with --mqtt HOST:PORT";
      throw new BrokerError(
        "MQTT_ADDRESS_UNUSABLE",
        `MQTT can't listen on ${host}:${port} (${code}): ${mend}`,
        {
          retryable: false,
          cause,
          details: { host, port },
        },
      );
    }
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new TypeError("a TCP server has an address");
    return { host: address.address, port: address.port };
  }

  /** Accepts no more connections. */
  close(): void {
    this.#server.close();
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
