import { type Static, Type } from "@sinclair/typebox";

export const consumerConfigSchema = Type.Object(
  {
    maxBatchBytes: Type.Integer({
      default: 128 * 1024 * 1024,
      minimum: 1,
      description: "A batch is committed once its rows take this many bytes, uncompressed.",
    }),
    maxBatchAgeMs: Type.Integer({
      default: 5000,
      minimum: 1,
      description: "A batch is committed once its first message was read this long ago, ms.",
    }),
    readMaxBytes: Type.Integer({
      default: 1024 * 1024,
      minimum: 1,
      description: "Bytes read from one partition before the next one has its turn; one block at least.",
    }),
    readMaxEntries: Type.Integer({
      default: 256,
      minimum: 1,
      description: "Blocks read from one partition before the next one has its turn.",
    }),
    retryMaxMs: Type.Integer({
      default: 30_000,
      minimum: 1,
      description: "Longest wait before a failed step is tried again, ms (full jitter, doubling).",
    }),
  },
  { additionalProperties: false },
);

export type ConsumerConfig = Readonly<Static<typeof consumerConfigSchema>>;
