import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** Stands between clients and a server on this machine, and spoils their connections when told to. */
export class FaultProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isSilent = false;

  private constructor(targetPort: number) {
    this.#server = createServer({ noDelay: true, pauseOnConnect: true }, (client) => {
      const target = connect({ host: "127.0.0.1", port: targetPort, noDelay: true });
      this.#join(client, target);
      this.#join(target, client);
      if (!this.#isSilent) client.resume();
      else target.pause();
    });
  }

  static async listen(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resets every connection; bytes on the way are lost. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Connections stay open and new ones are taken, but nothing passes; then all of them are reset. */
  async silence(forMs: number): Promise<void> {
    this.#isSilent = true;
    for (const socket of this.#sockets) socket.pause();
    await delay(forMs);
    this.#isSilent = false;
    this.cut();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (bytes) => {
      if (!to.write(bytes)) from.pause();
    });
    to.on("drain", () => {
      if (!this.#isSilent) from.resume();
    });
    from.on("end", () => to.end());
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
