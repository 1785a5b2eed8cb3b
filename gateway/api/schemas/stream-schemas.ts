import { Type } from "@sinclair/typebox";
import { count, durationMs, flag, oneOf, orNull, text, texts, timeMs } from "./named-schema.ts";

/** Why something does not go on, under a code that programs can rely on. */
export const codedFailureSchema = Type.Object({ code: text(), message: text() });
export const failureSchema = Type.Object({
  code: text(),
  message: text(),
  atMs: timeMs("When it was last seen"),
});

const spaceSchema = Type.Object(
  {
    retainedBytes: count("Bytes that wait for the lake or for trimming"),
    maxBytes: count(),
    diskFreeBytes: orNull(Type.Number(), { description: "null = the disk was not asked yet" }),
    diskReserveBytes: orNull(Type.Number(), { description: "Held free for trimming and commits" }),
    fileBytes: count(),
  },
  { description: "Of the embedded stream" },
);

const redisSchema = Type.Object(
  {
    durability: oneOf(["strict", "relaxed"]),
    replicas: count(),
    pressure: oneOf(["none", "warn", "hold", "refuse"]),
    usedBytes: count(),
    maxBytes: count(),
    faults: texts("Why the servers may lose what they confirm"),
    versions: texts("Versions of the servers"),
    isConnected: Type.Boolean(),
    held: orNull(codedFailureSchema, { description: "Why nothing is appended; null = it is" }),
  },
  { description: "Of a stream in Redis" },
);

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

const replacementSchema = Type.Object(
  {
    replaces: orNull(text(), { description: "null = no stream could be read" }),
    unread: orNull(Type.Object({ blocks: count(), messages: count() }), {
      description: "Acknowledged and given up; null = unknown",
    }),
    atMs: timeMs("When"),
  },
  { description: "The stream that this one took the place of" },
);

/** What broker and consumer both say of the stream. */
export const streamProperties = {
  space: orNull(spaceSchema, { description: "null = the stream is not embedded" }),
  redis: orNull(redisSchema, { description: "null = the stream is not in Redis" }),
  kinesis: orNull(kinesisSchema, { description: "null = the stream is not in Kinesis" }),
  replacement: orNull(replacementSchema, { description: "null = it took no other one's place" }),
};

const laneSchema = Type.Object({
  partition: count(),
  producerId: text(),
  lastSequence: count(),
  lastAcknowledgedSequence: count(),
  acknowledgedMessages: count(),
  waitingBlocks: count(),
  heldSinceMs: orNull(timeMs("Since when the stream takes nothing")),
  heldForMs: orNull(durationMs("For how long the stream has taken nothing")),
  lastFailure: orNull(failureSchema),
});

export const producerSchema = Type.Object({
  inFlightBytes: count(),
  isFull: flag("True while publishers wait"),
  totals: Type.Object({
    appendedBlocks: count(),
    appendedMessages: count(),
    appendedBytes: count(),
    retries: count(),
    failedBlocks: count(),
    failedMessages: count(),
    reroutedMessages: count(),
    unclaimedMessages: count(),
    droppedQos0: count(),
    refusedMessages: count(),
  }),
  lanes: Type.Array(laneSchema, { description: "One for each partition" }),
});
