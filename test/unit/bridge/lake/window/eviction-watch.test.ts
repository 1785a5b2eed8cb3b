import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import { EvictionWatch } from "../../../../../bridge/lake/window/redis/eviction-watch.ts";
import type { RedisClient } from "../../../../../bridge/redis/redis-connection.ts";

test("a policy that may evict the window is logged once, and so is its end; a server without an answer is not reported as a wrong policy", async () => {
  const lines: { level: number; event: string }[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  let policy: string | null = "noeviction";
  const info = async () => {
    if (policy === null) throw new Error("connection is closed");
    return `maxmemory_policy:${policy}\r\n`;
  };
  let nowMs = 0;
  const client = { info } as unknown as RedisClient;
  const watch = new EvictionWatch({ client, logger, monotonicMs: () => nowMs });
  for (const seen of ["noeviction", null, "allkeys-lru", "allkeys-lru", null, "allkeys-lru", "noeviction"]) {
    policy = seen;
    nowMs += 10_000;
    await watch.look();
  }
  assert.deepEqual(
    lines.map(({ level, event }) => [level, event]),
    [
      [50, "window.redis.unsupported"],
      [30, "window.redis.supported"],
    ],
  );
});
