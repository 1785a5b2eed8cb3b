import { type Static, Type } from "@sinclair/typebox";
import { maxBlockBytes } from "../block/block-format.ts";

export const producerConfigSchema = Type.Object(
  {
    lingerMs: Type.Integer({
      default: 5,
      minimum: 0,
      maximum: 1000,
      unit: "ms",
      description: "Time that an open block waits for more messages before it is appended",
    }),
    blockBytes: Type.Integer({
      default: 64 * 1024,
      minimum: 1024,
      maximum: maxBlockBytes,
      unit: "bytes",
      description: "An open block of this size is appended without waiting",
    }),
    inFlightMaxBytes: Type.Integer({
      default: 64 * 1024 * 1024,
      minimum: 1024 * 1024,
      unit: "bytes",
      description:
        "Accepted messages that are not durable. Above this limit, publishers wait and QoS 0 is dropped; above twice the limit, all messages are refused",
    }),
    deadlineMs: Type.Integer({
      default: 30_000,
      minimum: 100,
      unit: "ms",
      description:
        "Time that messages are held while the stream fails. Then their connections close without an acknowledgement",
    }),
    retryBaseMs: Type.Integer({
      default: 50,
      minimum: 1,
      unit: "ms",
      description: "Longest wait before the first retry of a block; doubles with each attempt",
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
