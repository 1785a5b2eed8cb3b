import { type Static, Type } from "@sinclair/typebox";

const gib = 1024 ** 3;
const share = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 0.05, maximum: 1, unit: "share of maxmemory", description });

/** Settings of all uses of Redis, and of the stream on Redis. */
export const redisConfigSchema = Type.Object(
  {
    timeoutMs: Type.Integer({
      default: 5000,
      minimum: 100,
      unit: "ms",
      description:
        "Longest wait for an answer of Redis. A call without an answer fails, and its block is appended again",
    }),
    durability: Type.Union([Type.Literal("strict"), Type.Literal("relaxed")], {
      default: "strict",
      description:
        "strict: use only a server that writes data to disk before confirming; relaxed: use any server, and lose acknowledged messages if it dies",
    }),
    replicas: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 16,
      description: "Replicas that must have received a block before its messages are acknowledged",
    }),
    maxBytes: Type.Integer({
      default: 4 * gib,
      minimum: 16 * 1024 ** 2,
      unit: "bytes",
      description: "Used instead of the server's maxmemory if that is 0 (unlimited)",
    }),
    memoryWarn: share(0.7, "Used memory above which the status warns"),
    memoryHold: share(0.8, "Used memory above which messages wait unacknowledged"),
    memoryRefuse: share(0.9, "Used memory above which brokers refuse connections"),
    checkMs: Type.Integer({
      default: 1000,
      minimum: 100,
      unit: "ms",
      description: "Time between checks of the server's settings, role and memory",
    }),
  },
  { additionalProperties: false },
);

export type RedisConfig = Readonly<Static<typeof redisConfigSchema>>;
