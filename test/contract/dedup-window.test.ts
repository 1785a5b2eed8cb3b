import { after } from "node:test";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { createMemoryWindow } from "../../bridge/window/memory/memory-window.ts";
import { openRedisWindow } from "../../bridge/window/redis/redis-window.ts";
import { RedisServer } from "../support/redis-server.ts";
import { silentLogger } from "../support/test-lake.ts";
import { dedupWindowContract } from "./dedup-window-contract.ts";

dedupWindowContract("memory", async () =>
  createMemoryWindow({ maxBytes: 256 * 1024 * 1024, partitionCount: 20 }),
);

let server: RedisServer | undefined;
after(() => server?.destroy());

dedupWindowContract("redis", async () => {
  server = await RedisServer.start();
  return openRedisWindow({
    target: parseRedisUrl(server.url),
    lakeId: "lake",
    streamId: "5".repeat(32),
    partitionCount: 20,
    timeoutMs: 5_000,
    logger: silentLogger,
  });
});
