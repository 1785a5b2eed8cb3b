import { randomBytes } from "node:crypto";
import { after } from "node:test";
import type { Redis } from "ioredis";
import { parseRedisUrl, type RedisTarget } from "../../bridge/redis/redis-url.ts";
import { createRedisStream } from "../../bridge/streams/redis/create-stream.ts";
import {
  openRedisStream,
  type RedisStream,
  type RedisStreamOptions,
} from "../../bridge/streams/redis/redis-stream.ts";
import { RedisServer } from "./redis-server.ts";
import { silentLogger } from "./test-lake.ts";

export const timeoutMs = 1000;
export const everything = { maxBytes: Number.MAX_SAFE_INTEGER, maxEntries: 10_000 } as const;

export function block(...bytes: number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

const opened: RedisStream[] = [];

/** A unique prefix. */
export function freshTarget(url: string): RedisTarget {
  const target = parseRedisUrl(url);
  return { ...target, prefix: `t${randomBytes(4).toString("hex")}` };
}

export async function openTestStream(
  target: RedisTarget,
  options: Partial<RedisStreamOptions> = {},
): Promise<RedisStream> {
  const logger = silentLogger;
  const stream = await openRedisStream({
    target,
    mode: "append",
    timeoutMs,
    checkMs: 100,
    logger,
    ...options,
  });
  opened.push(stream);
  return stream;
}

/** For a file's `after`, because a failed test leaves its streams open. */
export async function closeTestStreams(): Promise<void> {
  for (const stream of opened.splice(0)) await stream.close();
}

/**
 * A server for the streams of a test file, and a client to inspect and harm the server. Both end after the
 * file's tests.
 */
export async function startStreamServer(
  settings: Readonly<Record<string, string>> = {},
): Promise<{ server: RedisServer; admin: Redis }> {
  const server = await RedisServer.start(settings);
  const admin = server.client();
  after(async () => {
    await closeTestStreams();
    admin.disconnect();
    await server.destroy();
  });
  return { server, admin };
}

/** Creates a stream under a prefix of its own, and opens it for appending. */
export async function newTestStream(
  url: string,
  options: Partial<RedisStreamOptions> & { partitions?: number } = {},
): Promise<{ target: RedisTarget; stream: RedisStream }> {
  const { partitions = 1, ...rest } = options;
  const target = freshTarget(url);
  await createRedisStream({ target, partitionCount: partitions, timeoutMs, logger: silentLogger });
  return { target, stream: await openTestStream(target, rest) };
}
