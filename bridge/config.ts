import { consumerConfigSchema } from "./consumer/consumer-config.ts";
import { leasesConfigSchema } from "./leases/leases-config.ts";
import { producerConfigSchema } from "./producer/producer-config.ts";
import { redisConfigSchema } from "./redis/redis-config.ts";
import { tablesConfigSchema } from "./storage/tables-config.ts";
import { embeddedStreamConfigSchema } from "./streams/embedded/embedded-config.ts";

export { BridgeError } from "./errors.ts";
export { parseRedisUrl, type RedisTarget } from "./redis/redis-url.ts";

/** Every setting of this folder, by the section it stands in. */
export const bridgeConfigSchemas = {
  stream: embeddedStreamConfigSchema,
  producer: producerConfigSchema,
  consumer: consumerConfigSchema,
  leases: leasesConfigSchema,
  redis: redisConfigSchema,
  tables: tablesConfigSchema,
} as const;
