import { Type } from "@sinclair/typebox";

const gib = 1024 ** 3;

/** The names are those of the options of `openEmbeddedStream`. */
export const embeddedStreamConfigSchema = Type.Object(
  {
    partitionCount: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 1024,
      description: "Partitions of a new stream; fixed for its life",
    }),
    maxBytes: Type.Integer({
      default: 8 * gib,
      minimum: 16 * 1024 ** 2,
      unit: "bytes",
      description:
        "Blocks that are not trimmed. Above this limit, messages wait unacknowledged until blocks are trimmed",
    }),
    reserveBytes: Type.Integer({
      default: gib,
      minimum: 0,
      unit: "bytes",
      description: "Free space on its disk that the stream does not use; at most a tenth of the disk",
    }),
    appendTimeoutMs: Type.Integer({
      default: 5000,
      minimum: 100,
      unit: "ms",
      description: "Longest wait until a block is durable. Then it is appended again",
    }),
    stuckMs: Type.Integer({
      default: 60_000,
      minimum: 1000,
      unit: "ms",
      description:
        "A transaction that takes this long means a stuck database: the process exits and restarts",
    }),
  },
  { additionalProperties: false },
);
