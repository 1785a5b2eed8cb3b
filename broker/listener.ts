import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { BrokerError } from "./errors.ts";
import { RateLimit } from "./rate-limit.ts";

/** Data of one connection that is read ahead of being handled. */
const READ_AHEAD_BYTES = 16_384;
/** TCP's own probes find peers that are gone where a client asked for no keep alive. */
const TCP_KEEP_ALIVE_MS = 60_000;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly acceptPerSecond: number;
  readonly now: () => number;
  readonly accept: (socket: Socket) => void;
  readonly refused: (socket: Socket) => void;
}

/** MQTT over TCP. Connections beyond the limits are closed before a byte of theirs is read. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: ListenerOptions) {
    this.#options = options;
    const rate = new RateLimit(options.acceptPerSecond);
    const socketOptions = { noDelay: true, highWaterMark: READ_AHEAD_BYTES };
    this.#server = createServer(socketOptions, (socket) => {
      if (this.#sockets.size >= options.maxConnections || !rate.take(options.now())) {
        options.refused(socket);
        socket.destroy();
        return;
      }
      socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      options.accept(socket);
    });
  }

  get connections(): number {
    return this.#sockets.size;
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

  /** Takes no more connections. */
  close(): void {
    this.#server.close();
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
