import type { OnRedis, RedisConfig, RedisTarget } from "../../../bridge/config.ts";
import { type GatewayConfig, withSections } from "../../gateway-config.ts";

/** Of a gateway whose stream is on a Redis. */
export function targetOf({ backends }: GatewayConfig): RedisTarget {
  return (backends.stream as OnRedis).redis;
}

export function redisConfigOf(config: GatewayConfig): RedisConfig {
  return withSections<{ redis: RedisConfig }>(config).redis;
}
