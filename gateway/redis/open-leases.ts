import type { RedisConfig, RedisTarget } from "../../bridge/config.ts";
import {
  createRedisLeases,
  createRedisUpkeepLease,
  type PartitionLeases,
  type UpkeepLease,
} from "../../bridge/leases/index.ts";
import type { StreamLog } from "../../bridge/streams/index.ts";
import { gatewayName } from "../data-folder/gateway-name.ts";
import type { RoleContext } from "../processes/run-child.ts";
import { type GatewayConfig, withSections } from "../settings/gateway-config.ts";

/** Leases on a Redis, by which the consumers of all gateways share the partitions of a stream. */
export async function openLeases(
  context: RoleContext,
  target: RedisTarget,
  { streamId, partitions }: Pick<StreamLog, "streamId" | "partitions">,
): Promise<PartitionLeases> {
  return await createRedisLeases({
    ...leaseOptions(context, target),
    streamId,
    partitions: partitions.all.map(({ partition }) => partition),
  });
}

/** The lease on a Redis by which one of the gateways of a lake does its upkeep. */
export async function openUpkeepLease(
  context: RoleContext,
  target: RedisTarget,
  lakeId: string,
): Promise<UpkeepLease> {
  return await createRedisUpkeepLease({ ...leaseOptions(context, target), lakeId });
}

function leaseOptions({ config, logger, metrics: registry }: RoleContext, target: RedisTarget) {
  return {
    target,
    processName: gatewayName(config.folders.data),
    leaseMs: config.leases.leaseMs,
    timeoutMs: withSections<{ redis: RedisConfig }>(config).redis.timeoutMs,
    logger,
    registry,
    random: Math.random,
    monotonicMs: () => performance.now(),
  };
}

/**
 * Share of the shutdown time. The consumer has at least half of that time, and must also hand over its
 * partitions.
 */
const drainShare = 0.4;

/** How long a stopping consumer continues to read a stream to which other gateways append. */
export function sharedDrainMaxMs({ shutdown }: GatewayConfig): number {
  return shutdown.timeoutMs * drainShare;
}
