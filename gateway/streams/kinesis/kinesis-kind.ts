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
} from "../../schema/named-schema.ts";
import { type StreamKind, statusMember } from "../stream-kind.ts";

const kinesisSchema = Type.Object(
  {
    region: text(),
    streamName: text(),
    mode: oneOf(["PROVISIONED", "ON_DEMAND"]),
    encryption: oneOf(["NONE", "KMS"]),
    retentionMs: durationMs("Time for which the stream keeps records"),
    openShards: count(),
    behindMs: durationMs("Age difference between the newest record and the last read record"),
    warnings: texts("Conditions that need attention"),
    held: orNull(codedFailureSchema, {
      description: "Why the stream accepts no appends; null = it accepts them",
    }),
  },
  { description: "Status of a stream in Kinesis" },
);

export const kinesisKind: StreamKind = {
  ...kinesisDescriptor,
  registryIn: "window",
  holdsWindow: false,
  status: statusMember<KinesisStreamStatus>()({
    name: "kinesis",
    schema: orNull(kinesisSchema, { description: "null = the stream is not in Kinesis" }),
    // Only the consumer knows the lag.
    toldBy: "consumer",
  }),
  flags: [
    {
      name: "create",
      description: "create a Kinesis stream that is missing, with stream.partitionCount shards",
      setting: "kinesis.create",
    },
  ],
  loadBackend: async () => (await import("./kinesis-backend.ts")).kinesisBackend,
};
