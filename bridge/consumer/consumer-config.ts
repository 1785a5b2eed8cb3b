import { type Static, Type } from "@sinclair/typebox";

const mib = 1024 ** 2;

export const consumerConfigSchema = Type.Object(
  {
    maxBatchBytes: Type.Integer({
      default: 128 * mib,
      minimum: 1,
      unit: "bytes",
      description: "A batch is committed once its rows take this much, uncompressed",
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
      description: "Read from one partition, one block at least, before the next one has its turn",
    }),
    readMaxEntries: Type.Integer({
      default: 256,
      minimum: 1,
      unit: "blocks",
      description: "Read from one partition before the next one has its turn",
    }),
    retryMaxMs: Type.Integer({
      default: 30_000,
      minimum: 1,
      unit: "ms",
      description: "Longest wait before a failed step is tried again (full jitter, doubling)",
    }),
  },
  { additionalProperties: false },
);

export type ConsumerConfig = Readonly<Static<typeof consumerConfigSchema>>;
