import { Type } from "@sinclair/typebox";

const gib = 1024 ** 3;

/** Named as the options of `openEmbeddedStream`. */
export const embeddedStreamConfigSchema = Type.Object(
  {
    partitionCount: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 1024,
      description: "Partitions of a stream that is created; fixed for its life",
    }),
    maxBytes: Type.Integer({
      default: 8 * gib,
      minimum: 16 * 1024 ** 2,
      unit: "bytes",
      description: "Blocks that are not trimmed yet; above it nothing is acknowledged until some are",
    }),
    reserveBytes: Type.Integer({
      default: gib,
      minimum: 0,
      unit: "bytes",
      description:
        "Free space on its disk that the stream leaves to everything else; at most a tenth of the disk is held",
    }),
    appendTimeoutMs: Type.Integer({
      default: 5000,
      minimum: 100,
      unit: "ms",
      description: "A block that is not durable after this long is appended again",
    }),
    stuckMs: Type.Integer({
      default: 60_000,
      minimum: 1000,
      unit: "ms",
      description:
        "A transaction that takes this long means a stuck database: the process exits and starts again",
    }),
  },
  { additionalProperties: false },
);
