import type { Logger } from "pino";
import { connectRedis, type RedisClient } from "../../redis/redis-connection.ts";
import { redisError } from "../../redis/redis-error.ts";
import type { RedisTarget } from "../../redis/redis-url.ts";
import { metaKey } from "./stream-keys.ts";

/** The place of a stream, for operations on the whole stream. */
export interface RedisStreamSite {
  readonly target: RedisTarget;
  readonly timeoutMs: number;
  readonly logger: Logger;
  readonly random?: () => number;
}

/**
 * Runs `work` with a client that is closed afterwards.
 * @param doing What `work` does, for the texts of errors.
 */
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
