import { Type } from "@sinclair/typebox";
import { count, durationMs, flag, orNull, text, timeMs } from "../../schema/named-schema.ts";
import { streamKinds } from "../../streams/stream-kinds.ts";

export const failureSchema = Type.Object({
  code: text(),
  message: text(),
  atMs: timeMs("When the failure last happened"),
});

const replacementSchema = Type.Object(
  {
    replaces: orNull(text(), { description: "null = no stream could be read" }),
    unread: orNull(Type.Object({ blocks: count(), messages: count() }), {
      description: "Acknowledged messages that were discarded; null = unknown",
    }),
    atMs: timeMs("When"),
  },
  { description: "The stream that this one has replaced" },
);

/** The status of the stream, which broker and consumer both report. */
export const streamProperties = {
  ...memberSchemas(),
  replacement: orNull(replacementSchema, { description: "null = this stream has not replaced another one" }),
};

/** Each kind of stream has compared its schema with its status. */
function memberSchemas(): object {
  return Object.fromEntries(streamKinds.map(({ status }) => [status.name, status.schema]));
}

const laneSchema = Type.Object({
  partition: count(),
  producerId: text(),
  lastSequence: count(),
  lastAcknowledgedSequence: count(),
  acknowledgedMessages: count(),
  waitingBlocks: count(),
  heldSinceMs: orNull(timeMs("Since when the stream accepts no blocks")),
  heldForMs: orNull(durationMs("Time for which the stream has accepted no blocks")),
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
  lanes: Type.Array(laneSchema, { description: "One lane for each partition" }),
});
