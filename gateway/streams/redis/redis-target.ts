import type { OnRedis, RedisConfig, RedisTarget } from "../../../bridge/config.ts";
import { type GatewayConfig, withSections } from "../../settings/gateway-config.ts";

/** The Redis of a gateway whose stream is there. */
export function targetOf({ backends }: GatewayConfig): RedisTarget {
  return (backends.stream as OnRedis).redis;
}

export function redisConfigOf(config: GatewayConfig): RedisConfig {
  return withSections<{ redis: RedisConfig }>(config).redis;
}
