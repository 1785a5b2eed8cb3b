import type { Redis } from "ioredis";
import { freePort } from "./free-port.ts";
import { RedisServer } from "./redis-server.ts";
import { until } from "./until.ts";

const slots = 16_384;
const nodes = 3;

/** A real Redis Cluster on 127.0.0.1: three masters that share the slots. */
export class RedisCluster {
  readonly servers: readonly RedisServer[];
  readonly #clients: readonly Redis[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
    this.#clients = servers.map((server) => server.client());
    // The clients reconnect; calls fail by themselves.
    for (const client of this.#clients) client.on("error", () => {});
  }

  /** @param settings As for RedisServer. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<RedisCluster> {
    const own = { "cluster-enabled": "yes", "cluster-node-timeout": "2000", ...settings };
    const servers: RedisServer[] = [];
    const busPorts: number[] = [];
    try {
      for (let node = 0; node < nodes; node++) {
        const busPort = await freePort();
        busPorts.push(busPort);
        servers.push(await RedisServer.start({ ...own, "cluster-port": String(busPort) }));
      }
    } catch (error) {
      await Promise.all(servers.map((server) => server.destroy()));
      throw error;
    }
    const cluster = new RedisCluster(servers);
    try {
      await cluster.#form(busPorts);
      return cluster;
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.servers[0]?.port}/0?cluster=true`;
  }

  /** A client of the server that holds this key. */
  async clientOf(key: string): Promise<Redis> {
    const index = await this.nodeOf(key);
    return this.#at(index);
  }

  /** The server that holds this key. */
  async nodeOf(key: string): Promise<number> {
    const slot = Number(await this.#at(0).call("cluster", "keyslot", key));
    return Math.min(nodes - 1, Math.floor((slot * nodes) / slots));
  }

  async destroy(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await Promise.all(this.servers.map((server) => server.destroy()));
  }

  async #form(busPorts: readonly number[]): Promise<void> {
    for (const [index, client] of this.#clients.entries()) {
      const first = Math.ceil((index * slots) / nodes);
      const last = Math.ceil(((index + 1) * slots) / nodes) - 1;
      await client.call("cluster", "addslotsrange", first, last);
      await client.call("cluster", "set-config-epoch", index + 1);
    }
    for (const [index, { port }] of this.servers.entries())
      if (index > 0) await this.#at(0).call("cluster", "meet", "127.0.0.1", port, busPorts[index] ?? 0);
    await until("the Redis Cluster has formed", async () => {
      const states = await Promise.all(
        this.#clients.map(async (client) => String(await client.call("cluster", "info"))),
      );
      return states.every((text) => /cluster_state:ok/.test(text) && /cluster_known_nodes:3/.test(text));
    });
  }

  #at(index: number): Redis {
    const client = this.#clients[index];
    if (!client) throw new RangeError(`the cluster has no node ${index}`);
    return client;
  }
}
