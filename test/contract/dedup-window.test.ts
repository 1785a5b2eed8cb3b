import { after } from "node:test";
import { createMemoryWindow } from "../../bridge/lake/window/memory/memory-window.ts";
import { openRedisWindow } from "../../bridge/lake/window/redis/redis-window.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer } from "../support/redis-server.ts";
import { silentLogger } from "../support/test-lake.ts";
import { dedupWindowContract } from "./dedup-window-contract.ts";
import { exactIdsContract } from "./exact-ids-contract.ts";

const servers: { destroy(): Promise<void> }[] = [];
after(() => Promise.all(servers.map((server) => server.destroy())));

function openWindow(url: string) {
  return openRedisWindow({
    target: parseRedisUrl(url),
    lakeId: "lake",
    streamId: "5".repeat(32),
    partitions: () => Array.from({ length: 20 }, (_, partition) => partition),
    timeoutMs: 5_000,
    logger: silentLogger,
  });
}

const backends = {
  memory: async () => createMemoryWindow({ maxBytes: 256 * 1024 * 1024, partitionCount: 20 }),
  redis: async () => {
    const server = await RedisServer.start();
    servers.push(server);
    return openWindow(server.url);
  },
  "redis cluster": async () => {
    const cluster = await RedisCluster.start();
    servers.push(cluster);
    return openWindow(cluster.url);
  },
};
for (const [name, open] of Object.entries(backends)) {
  dedupWindowContract(name, open);
  exactIdsContract(name, open);
}
