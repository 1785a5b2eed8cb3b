import { openRedisWindow, type RedisWindowOptions } from "../../bridge/lake/window/redis/redis-window.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import type { RedisServer } from "./redis-server.ts";
import { silentLogger } from "./test-lake.ts";

/** The only key of a partition. */
export function windowKeyOf(partition: number): string {
  return `tidegate:{w:lake/stream/${partition}}:ids`;
}

/** A window on a test's server. */
export function openTestWindow(server: RedisServer, options: Partial<RedisWindowOptions> = {}) {
  return openRedisWindow({
    target: parseRedisUrl(server.url),
    lakeId: "lake",
    streamId: "stream",
    partitions: () => Array.from({ length: 20 }, (_, partition) => partition),
    timeoutMs: 5_000,
    logger: silentLogger,
    ...options,
  });
}
