import type { RedisConfig, RedisTarget } from "../../bridge/config.ts";
import { createRedisLeases, type PartitionLeases, type StreamLog } from "../../bridge/index.ts";
import { type GatewayConfig, withSections } from "../gateway-config.ts";
import { gatewayName } from "../supervisor/gateway-name.ts";
import type { RoleContext } from "../supervisor/run-child.ts";

/** By leases on a Redis the consumers of all gateways divide the partitions of a stream. */
export async function openLeases(
  { config, logger, metrics: registry }: RoleContext,
  target: RedisTarget,
  { streamId, partitions }: Pick<StreamLog, "streamId" | "partitions">,
): Promise<PartitionLeases> {
  return await createRedisLeases({
    target,
    streamId,
    partitions: partitions.all.map(({ partition }) => partition),
    processName: gatewayName(config.folders.data),
    leaseMs: config.leases.leaseMs,
    timeoutMs: withSections<{ redis: RedisConfig }>(config).redis.timeoutMs,
    logger,
    registry,
    random: Math.random,
    monotonicMs: () => performance.now(),
  });
}

/** Of the time for shutting down, of which the consumer has half at least: handing over the partitions takes a moment, too. */
const drainShare = 0.4;

/** How long a stopping consumer of a stream that others append to goes on reading. */
export function sharedDrainMaxMs({ shutdown }: GatewayConfig): number {
  return shutdown.timeoutMs * drainShare;
}
