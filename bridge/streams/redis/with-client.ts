import type { Logger } from "pino";
import { connectRedis, type RedisClient } from "../../redis/redis-connection.ts";
import { redisError } from "../../redis/redis-error.ts";
import type { RedisTarget } from "../../redis/redis-url.ts";
import { metaKey } from "./stream-keys.ts";

/** Where a stream is, for those who work on it as a whole. */
export interface RedisStreamSite {
  readonly target: RedisTarget;
  readonly timeoutMs: number;
  readonly logger: Logger;
  readonly random?: () => number;
}

/** A client for as long as the work lasts. @param doing For errors: `creating`. */
export async function withClient<Result>(
  { target, timeoutMs, logger, random = Math.random }: RedisStreamSite,
  doing: "creating" | "moving",
  work: (client: RedisClient) => Promise<Result>,
): Promise<Result> {
  const name = `tidegate-stream-${doing}`;
  const client = await connectRedis(target, { name, timeoutMs, logger, random });
  try {
    return await work(client);
  } catch (error) {
    throw redisError(error, `${doing} the stream at ${metaKey(target.prefix)}`);
  } finally {
    client.disconnect();
  }
}
