import type { RedisConfig, RedisTarget } from "../../bridge/config.ts";
import { connectRedis } from "../../bridge/redis/index.ts";
import type { RoleContext } from "../processes/run-child.ts";
import type { GatewayLake, RegistryOptions } from "../registry/gateway-stores.ts";
import { RedisRegistry, type RedisRegistryOptions } from "../registry/redis/redis-registry.ts";
import type { RegistryStore } from "../registry/registry-store.ts";
import { withSections } from "../settings/gateway-config.ts";
import { orMend } from "./or-mend.ts";

/**
 * The Redis on which gateways share topics and identities, and the settings section that names this Redis.
 */
export interface RegistryPlace {
  readonly section: "stream" | "window";
  readonly target: RedisTarget;
}

export async function openRegistryForWriting(
  options: RegistryOptions,
  place: RegistryPlace,
  lake: GatewayLake,
): Promise<{ registry: RedisRegistry; isNew: boolean }> {
  return await RedisRegistry.openForWriting(await connected(options, place), lake);
}

export async function openRegistryForReading(
  { config, logger }: RoleContext,
  place: RegistryPlace,
): Promise<RegistryStore> {
  const options = { config, logger, random: Math.random, now: Date.now };
  return await RedisRegistry.openForReading(await connected(options, place));
}

async function connected(
  { config, logger, random, now }: RegistryOptions,
  { section, target }: RegistryPlace,
): Promise<RedisRegistryOptions> {
  const { timeoutMs } = withSections<{ redis: RedisConfig }>(config).redis;
  const options = { name: "tidegate-registry", timeoutMs, logger, random };
  const client = await orMend(section, () => connectRedis(target, options));
  return { client, prefix: target.prefix, logger, now };
}
