import { Type } from "@sinclair/typebox";
import { streamKinds } from "../../streams/stream-kinds.ts";
import { count, durationMs, flag, orNull, text, timeMs } from "./named-schema.ts";

export const failureSchema = Type.Object({
  code: text(),
  message: text(),
  atMs: timeMs("When it was last seen"),
});

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
  ...memberSchemas(),
  replacement: orNull(replacementSchema, { description: "null = it took no other one's place" }),
};

/** Each kind of stream has compared its own with what it says. */
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
