import { randomBytes } from "node:crypto";
import { after, before } from "node:test";
import type { Redis } from "ioredis";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { createRedisStream } from "../../bridge/streams/redis/create-stream.ts";
import { openRedisStream } from "../../bridge/streams/redis/redis-stream.ts";
import { partitionKeys } from "../../bridge/streams/redis/stream-keys.ts";
import type { StreamLog } from "../../bridge/streams/stream-log.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer } from "../support/redis-server.ts";
import { silentLogger } from "../support/test-lake.ts";
import { type StreamUnderTest, streamLogContract } from "./stream-log-contract.ts";

const timeoutMs = 5000;
const logger = silentLogger;

interface Servers {
  readonly url: string;
  /** A client of the server that holds this key. */
  clientOf(key: string): Promise<Redis>;
  readonly replicas?: number;
  destroy(): Promise<void>;
}

function contractOn(name: string, start: () => Promise<Servers>): void {
  let servers: Servers | undefined;
  before(async () => {
    servers = await start();
  });
  after(async () => await servers?.destroy());
  streamLogContract(name, async ({ partitionCount }) => {
    if (!servers) throw new TypeError("the servers were not started");
    return await streamOn(servers, partitionCount);
  });
}

async function streamOn(servers: Servers, partitionCount: number): Promise<StreamUnderTest> {
  const { replicas = 0 } = servers;
  const separator = servers.url.includes("?") ? "&" : "?";
  const target = parseRedisUrl(`${servers.url}${separator}prefix=t${randomBytes(4).toString("hex")}`);
  const { streamId } = await createRedisStream({ target, partitionCount, timeoutMs, logger });
  const handles: StreamLog[] = [];
  const open = async (mode: "append" | "read"): Promise<StreamLog> => {
    const handle = await openRedisStream({ target, mode, timeoutMs, replicas, logger });
    handles.push(handle);
    return handle;
  };
  return {
    open: () => open("append"),
    openReader: () => open("read"),
    loseEntry: async (partition, position) => {
      const [log] = partitionKeys(target.prefix, streamId, partition);
      await (await servers.clientOf(log)).xdel(log, position);
    },
    clock: {
      ask: async () => {
        const [seconds, us] = await (await servers.clientOf(target.prefix)).time();
        return Number(seconds) * 1000 + Math.floor(Number(us) / 1000);
      },
    },
    destroy: async () => {
      for (const handle of handles) await handle.close();
    },
  };
}

contractOn("redis", async () => {
  const server = await RedisServer.start({ maxmemory: "512mb" });
  const client = server.client();
  return {
    url: server.url,
    clientOf: async () => client,
    destroy: async () => {
      client.disconnect();
      await server.destroy();
    },
  };
});

contractOn("redis with a replica", async () => {
  const server = await RedisServer.start({ maxmemory: "512mb" });
  const replica = await RedisServer.start({ replicaof: `127.0.0.1 ${server.port}` });
  const client = server.client();
  while ((await client.wait(1, 100)) !== 1);
  return {
    url: server.url,
    replicas: 1,
    clientOf: async () => client,
    destroy: async () => {
      client.disconnect();
      await replica.destroy();
      await server.destroy();
    },
  };
});

contractOn("redis cluster", async () => {
  const cluster = await RedisCluster.start({ maxmemory: "512mb" });
  return {
    url: cluster.url,
    clientOf: (key) => cluster.clientOf(key),
    destroy: () => cluster.destroy(),
  };
});
