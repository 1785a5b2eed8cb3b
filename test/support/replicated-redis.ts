import { once } from "node:events";
import type { Redis } from "ioredis";
import { FaultProxy } from "../../simulator/prove/under-test/fault-proxy.ts";
import { RedisServer } from "./redis-server.ts";
import { until } from "./until.ts";

const settings = { "repl-diskless-sync-delay": "0" };

/** A real primary and its replica, with an address at which clients reach the current primary. */
export class ReplicatedRedis {
  /** Line from clients to the server that accepts writes. */
  readonly line: FaultProxy;
  /** Line from the replica to its primary. */
  readonly link: FaultProxy;
  #primary: RedisServer;
  #replica: RedisServer;

  private constructor(parts: {
    line: FaultProxy;
    link: FaultProxy;
    primary: RedisServer;
    replica: RedisServer;
  }) {
    this.line = parts.line;
    this.link = parts.link;
    this.#primary = parts.primary;
    this.#replica = parts.replica;
  }

  static async start(): Promise<ReplicatedRedis> {
    const primary = await RedisServer.start(settings);
    const link = await FaultProxy.start(primary.port);
    const replica = await RedisServer.start({ ...settings, replicaof: `127.0.0.1 ${link.port}` });
    const line = await FaultProxy.start(primary.port);
    const redis = new ReplicatedRedis({ line, link, primary, replica });
    await redis.untilFollowed();
    return redis;
  }

  /** Constant over fail-overs. */
  get url(): string {
    return `redis://127.0.0.1:${this.line.port}/0`;
  }

  /** The replica alone. */
  get replicaUrl(): string {
    return this.#replica.url;
  }

  async killPrimary(): Promise<void> {
    await this.#primary.kill();
  }

  /** The replica becomes the primary, with its data. */
  async promote(): Promise<void> {
    await ask(this.#replica, (client) => client.replicaof("NO", "ONE"));
    [this.#primary, this.#replica] = [this.#replica, this.#primary];
    this.line.retarget(this.#primary.port);
  }

  /** Starts the killed server as a replica of the new primary. */
  async rejoin(): Promise<void> {
    this.link.retarget(this.#primary.port);
    this.link.set("pass");
    await this.#replica.start({ replicaof: `127.0.0.1 ${this.link.port}` });
    await this.untilFollowed();
  }

  /** Resolves once the replica has everything. */
  async untilFollowed(): Promise<void> {
    await until("the replica follows its primary", async () => {
      const report = await ask(this.#replica, (client) => client.info("replication"));
      return /master_link_status:up/.test(report);
    });
  }

  async destroy(): Promise<void> {
    await Promise.all([this.line.close(), this.link.close()]);
    await Promise.all([this.#primary.destroy(), this.#replica.destroy()]);
  }
}

async function ask<Answer>(server: RedisServer, call: (client: Redis) => Promise<Answer>): Promise<Answer> {
  const client = server.client();
  try {
    await once(client, "ready");
    return await call(client);
  } finally {
    client.disconnect();
  }
}
