import { Redis } from "ioredis";
import type { RedisClient } from "./redis-connection.ts";

/**
 * What is called from here to the end of this turn of the event loop goes out in one write: a write each costs a system call here and
 * wakes the server up each time, which then syncs its file each time. On a Redis Cluster calls go to several servers, each by itself.
 */
export function shareWrites(client: RedisClient): void {
  if (!(client instanceof Redis)) return;
  const { stream } = client;
  if (!stream || stream.writableCorked > 0) return;
  stream.cork();
  // After all promises of this turn; a connection that was lost meanwhile takes its own with it.
  process.nextTick(() => stream.uncork());
}
