import { consumerConfigSchema } from "./consumer/consumer-config.ts";
import { leasesConfigSchema } from "./leases/leases-config.ts";
import { producerConfigSchema } from "./producer/producer-config.ts";
import { redisConfigSchema } from "./redis/redis-config.ts";
import { s3ConfigSchema } from "./storage/s3/s3-config.ts";
import { tablesConfigSchema } from "./storage/tables-config.ts";
import { embeddedStreamConfigSchema } from "./streams/embedded/embedded-config.ts";
import { kinesisConfigSchema } from "./streams/kinesis/kinesis-config.ts";

export { BridgeError } from "./errors.ts";
export { parseRedisUrl, type RedisTarget } from "./redis/redis-url.ts";
export { parseS3Url, type S3Target, s3Url } from "./storage/s3/s3-url.ts";
export { type KinesisTarget, kinesisTargetOf } from "./streams/kinesis/kinesis-url.ts";

/** Every setting of this folder, by the section it stands in. */
export const bridgeConfigSchemas = {
  stream: embeddedStreamConfigSchema,
  producer: producerConfigSchema,
  consumer: consumerConfigSchema,
  leases: leasesConfigSchema,
  redis: redisConfigSchema,
  kinesis: kinesisConfigSchema,
  tables: tablesConfigSchema,
  s3: s3ConfigSchema,
} as const;
