import { consumerConfigSchema } from "./lake/consumer/consumer-config.ts";
import { tablesConfigSchema } from "./lake/tables-config.ts";
import { leasesConfigSchema } from "./leases/leases-config.ts";
import { producerConfigSchema } from "./producer/producer-config.ts";
import { embeddedStreamConfigSchema } from "./streams/embedded/embedded-config.ts";

export type { Decoder } from "./decoders/decoder.ts";
export { decoderOf, decoders } from "./decoders/decoders.ts";
export {
  hasLongNumber,
  hasNegativeExponent,
  parseWithNumbersAsText,
} from "./decoders/document/json-numbers.ts";
export { BridgeError } from "./errors.ts";
export {
  type KindDescriptor,
  type KindTarget,
  readOrMend,
} from "./kind-descriptor.ts";
export { type S3Config, s3ConfigSchema } from "./lake/stores/s3/s3-config.ts";
export { parseS3Url, type S3Target, s3Url } from "./lake/stores/s3/s3-url.ts";
export type { RedisConfig } from "./redis/redis-config.ts";
export { type OnRedis, redisKind } from "./redis/redis-kind.ts";
export type { RedisTarget } from "./redis/redis-url.ts";
export type { StreamCondition, StreamDescriptor } from "./streams/stream-descriptor.ts";

/** The settings of this folder that do not depend on the kind of stream, window or lake, by their section. */
export const bridgeConfigSchemas = {
  stream: embeddedStreamConfigSchema,
  producer: producerConfigSchema,
  consumer: consumerConfigSchema,
  leases: leasesConfigSchema,
  tables: tablesConfigSchema,
} as const;
