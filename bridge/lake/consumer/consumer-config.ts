import { type Static, Type } from "@sinclair/typebox";

const mib = 1024 ** 2;

export const consumerConfigSchema = Type.Object(
  {
    maxBatchBytes: Type.Integer({
      default: 128 * mib,
      minimum: 1,
      unit: "bytes",
      description: "A batch is committed once its rows have this size, uncompressed",
    }),
    maxBatchAgeMs: Type.Integer({
      default: 5000,
      minimum: 0,
      unit: "ms",
      description:
        "A batch is committed once its first message was read this long ago; on Redis and Kinesis the default is 60000",
    }),
    readMaxBytes: Type.Integer({
      default: mib,
      minimum: 1,
      unit: "bytes",
      description: "Bytes to read from one partition before the next one; at least one block",
    }),
    readMaxEntries: Type.Integer({
      default: 256,
      minimum: 1,
      unit: "blocks",
      description: "Blocks to read from one partition before the next one",
    }),
    retryMaxMs: Type.Integer({
      default: 30_000,
      minimum: 1,
      unit: "ms",
      description: "Longest delay before a failed step is retried (exponential back-off, full jitter)",
    }),
  },
  { additionalProperties: false },
);

export type ConsumerConfig = Readonly<Static<typeof consumerConfigSchema>>;
