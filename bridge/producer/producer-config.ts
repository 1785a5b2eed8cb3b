import { type Static, Type } from "@sinclair/typebox";
import { MAX_BLOCK_BYTES } from "../block/block-format.ts";

export const producerConfigSchema = Type.Object(
  {
    lingerMs: Type.Integer({
      default: 5,
      minimum: 0,
      maximum: 1000,
      unit: "ms",
      description: "How long an open block waits for more messages before it is appended",
    }),
    blockBytes: Type.Integer({
      default: 64 * 1024,
      minimum: 1024,
      maximum: MAX_BLOCK_BYTES,
      unit: "bytes",
      description: "An open block of this size is appended without waiting",
    }),
    inFlightMaxBytes: Type.Integer({
      default: 64 * 1024 * 1024,
      minimum: 1024 * 1024,
      unit: "bytes",
      description:
        "Messages accepted but not durable yet; above it publishers wait and QoS 0 is dropped, above twice as much all is refused",
    }),
    deadlineMs: Type.Integer({
      default: 30_000,
      minimum: 100,
      unit: "ms",
      description:
        "How long messages are held while the stream fails; then their connections close without an acknowledgement",
    }),
    retryBaseMs: Type.Integer({
      default: 50,
      minimum: 1,
      unit: "ms",
      description:
        "Longest wait before a block is appended again for the first time; doubles with each attempt",
    }),
    retryMaxMs: Type.Integer({
      default: 2000,
      minimum: 1,
      unit: "ms",
      description: "Longest wait between two attempts",
    }),
  },
  { additionalProperties: false },
);

export type ProducerConfig = Readonly<Static<typeof producerConfigSchema>>;
