import { Type } from "@sinclair/typebox";
import type { RedisConfig } from "../../../bridge/config.ts";
import { type RedisStreamStatus, redisDescriptor } from "../../../bridge/streams/redis/kind.ts";
import { codedFailureSchema, count, oneOf, orNull, texts } from "../../schema/named-schema.ts";
import { withSections } from "../../settings/gateway-config.ts";
import { type StreamKind, statusMember } from "../stream-kind.ts";

const redisSchema = Type.Object(
  {
    durability: oneOf(["strict", "relaxed"]),
    replicas: count(),
    pressure: oneOf(["none", "warn", "hold", "refuse"]),
    usedBytes: count(),
    maxBytes: count(),
    faults: texts("Why the servers may lose confirmed messages"),
    versions: texts("Versions of the servers"),
    isConnected: Type.Boolean(),
    held: orNull(codedFailureSchema, {
      description: "Why the stream accepts no appends; null = it accepts them",
    }),
  },
  { description: "Status of a stream in Redis" },
);

export const redisKind: StreamKind = {
  ...redisDescriptor,
  registryIn: "stream",
  holdsWindow: true,
  status: statusMember<RedisStreamStatus>()({
    name: "redis",
    schema: orNull(redisSchema, { description: "null = the stream is not in Redis" }),
    toldBy: "broker",
  }),
  notes: (config) =>
    withSections<{ redis: RedisConfig }>(config).redis.durability === "relaxed"
      ? ["RELAXED DURABILITY: acknowledged messages are lost when Redis dies (setting redis.durability)"]
      : [],
  loadBackend: async () => (await import("./redis-backend.ts")).redisBackend,
  loadSource: async () => (await import("./redis-source.ts")).redisSource,
};
