import { Type } from "@sinclair/typebox";
import { type KinesisStreamStatus, kinesisDescriptor } from "../../../bridge/streams/kinesis/kind.ts";
import {
  codedFailureSchema,
  count,
  durationMs,
  oneOf,
  orNull,
  text,
  texts,
} from "../../api/schemas/named-schema.ts";
import { type StreamKind, statusMember } from "../stream-kind.ts";

const kinesisSchema = Type.Object(
  {
    region: text(),
    streamName: text(),
    mode: oneOf(["PROVISIONED", "ON_DEMAND"]),
    encryption: oneOf(["NONE", "KMS"]),
    retentionMs: durationMs("How long the stream keeps records"),
    openShards: count(),
    behindMs: durationMs("By how much what was read last is older than the newest record"),
    warnings: texts("What somebody should look at"),
    held: orNull(codedFailureSchema, { description: "Why nothing is appended; null = it is" }),
  },
  { description: "Of a stream in Kinesis" },
);

export const kinesisKind: StreamKind = {
  ...kinesisDescriptor,
  registryIn: "window",
  holdsWindow: false,
  status: statusMember<KinesisStreamStatus>()({
    name: "kinesis",
    schema: orNull(kinesisSchema, { description: "null = the stream is not in Kinesis" }),
    // Only the consumer knows how far reading is behind.
    toldBy: "consumer",
  }),
  flags: [
    {
      name: "create",
      description: "create a Kinesis stream that is missing, with stream.partitionCount shards",
      setting: "kinesis.create",
    },
  ],
  proofServer: "kinesalite",
  loadBackend: async () => (await import("./kinesis-backend.ts")).kinesisBackend,
};
