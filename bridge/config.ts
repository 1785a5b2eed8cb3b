import { consumerConfigSchema } from "./consumer/consumer-config.ts";
import { leasesConfigSchema } from "./leases/leases-config.ts";
import { producerConfigSchema } from "./producer/producer-config.ts";
import { tablesConfigSchema } from "./storage/tables-config.ts";
import { embeddedStreamConfigSchema } from "./streams/embedded/embedded-config.ts";

export { BridgeError } from "./errors.ts";
export {
  type KindDescriptor,
  type KindTarget,
  readOrMend,
} from "./kind-descriptor.ts";
export type { RedisConfig } from "./redis/redis-config.ts";
export { type OnRedis, redisKind } from "./redis/redis-kind.ts";
export type { RedisTarget } from "./redis/redis-url.ts";
export { type S3Config, s3ConfigSchema } from "./storage/s3/s3-config.ts";
export { parseS3Url, type S3Target, s3Url } from "./storage/s3/s3-url.ts";
export type { StreamCondition, StreamDescriptor } from "./streams/stream-descriptor.ts";

/** Settings of this folder that hold whatever kinds of streams, windows and lakes are used, by the section they stand in. */
export const bridgeConfigSchemas = {
  stream: embeddedStreamConfigSchema,
  producer: producerConfigSchema,
  consumer: consumerConfigSchema,
  leases: leasesConfigSchema,
  tables: tablesConfigSchema,
} as const;
