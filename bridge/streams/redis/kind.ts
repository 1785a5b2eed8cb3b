import { type OnRedis, redisKind } from "../../redis/redis-kind.ts";
import type { StreamDescriptor } from "../stream-descriptor.ts";
import type { RedisStreamStatus } from "./redis-stream.ts";

export type { OnRedis, RedisStreamStatus };

export const redisDescriptor: StreamDescriptor<OnRedis, RedisStreamStatus> = {
  ...redisKind,
  condition: ({ held, isConnected }) => ({ held, holdsReading: false, isAnswering: isConnected }),
  summary,
};

function summary(status: RedisStreamStatus, url: string): string[] {
  const { durability, replicas, usedBytes, maxBytes, pressure, held, faults, isConnected, versions } = status;
  const percent = Math.round((usedBytes / maxBytes) * 100);
  const memory = maxBytes > 0 ? `${usedBytes} of ${maxBytes} bytes used (${percent} %)` : "";
  const copies = replicas > 0 ? `, ${replicas} replicas` : "";
  const lines = [
    `Stream: ${url}, Redis ${[...new Set(versions)].join(", ") || "unknown"}, durability ${durability}${copies}; memory ${memory}, pressure ${pressure}`,
  ];
  if (!isConnected) lines.push("  ! Redis does not answer.");
  if (durability === "relaxed")
    lines.push("  ! RELAXED DURABILITY: acknowledged messages are lost if Redis dies. See redis.durability.");
  lines.push(...faults.map((fault) => `  ! ${fault}`));
  if (held) lines.push(`  ! Messages wait unacknowledged: ${held.message}`);
  return lines;
}
