import { type Static, Type } from "@sinclair/typebox";

const gib = 1024 ** 3;
const share = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 0.05, maximum: 1, unit: "share of maxmemory", description });

/** What holds for every use of Redis, and for the stream in it. */
export const redisConfigSchema = Type.Object(
  {
    timeoutMs: Type.Integer({
      default: 5000,
      minimum: 100,
      unit: "ms",
      description:
        "A call that Redis has not answered after this long has failed; its block is appended again",
    }),
    durability: Type.Union([Type.Literal("strict"), Type.Literal("relaxed")], {
      default: "strict",
      description:
        "strict: run only on a server that has written to disk what it confirms; relaxed: run on any, and lose acknowledged messages when it dies",
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
      description: "Takes the place of the server's maxmemory where that is 0 (unlimited)",
    }),
    memoryWarn: share(0.7, "Used memory above which the status warns"),
    memoryHold: share(0.8, "Used memory above which nothing is acknowledged"),
    memoryRefuse: share(0.9, "Used memory above which brokers refuse connections"),
    checkMs: Type.Integer({
      default: 1000,
      minimum: 100,
      unit: "ms",
      description: "How often the server's settings, role and memory are looked at",
    }),
  },
  { additionalProperties: false },
);

export type RedisConfig = Readonly<Static<typeof redisConfigSchema>>;
