import { Type } from "@sinclair/typebox";
import { roleNames } from "../../processes/messages.ts";
import { registryKinds } from "../../registry/registry-store.ts";
import { count, durationMs, flag, oneOf, orNull, text, texts, timeMs } from "../../schema/named-schema.ts";
import { consumerSchema } from "./consumer-schema.ts";
import { producerSchema, streamProperties } from "./stream-schemas.ts";
import { upkeepSchema } from "./upkeep-schema.ts";

const roleSchema = oneOf(roleNames);

const processSchema = Type.Object({
  role: roleSchema,
  state: oneOf(["starting", "ready", "waiting", "stopping", "stopped"], "waiting = restarted after a delay"),
  pid: orNull(Type.Integer()),
  restarts: count(),
  hangs: count("Times that the process was killed because it hung"),
  silentForMs: durationMs("Time since the last message of the process"),
  refusal: orNull(Type.Object({ code: text(), message: text(), retryable: Type.Boolean() }), {
    description: "Why the process can't start or continue",
  }),
  lastExit: orNull(
    Type.Object({ code: orNull(Type.Integer()), signal: orNull(text()), atMs: timeMs("When") }),
  ),
  listening: orNull(text(), { description: "HOST:PORT" }),
});

const brokerSchema = Type.Object({
  ...streamProperties,
  connections: count(),
  inFlightMessages: count(),
  inFlightBytes: count(),
  pausedConnections: count(),
  acknowledged: count("PUBACK and PUBREC written for telemetry"),
  repeated: count("Acknowledgements among these that repeat an earlier PUBREC"),
  refused: Type.Record(Type.String(), Type.Integer(), { description: "By reason" }),
  untaken: count("PUBLISH packets that were read but not accepted, because their connection ended"),
  sessionDropped: count(),
  retainedDropped: count(),
  isOpen: flag("False = the stream is so full that no further client may connect"),
  producer: producerSchema,
  registry: Type.Object({
    kind: oneOf(registryKinds),
    trouble: orNull(Type.Object({ code: text(), message: text(), sinceMs: timeMs("Since when") }), {
      description: "Why the registry can't be read; null = it answers",
    }),
  }),
});

const booksSchema = Type.Object(
  {
    read: count(),
    filed: count(),
    duplicates: count(),
    quarantined: count(),
    resent: count(),
    misrouted: count(),
    unaccounted: count("Acknowledged messages that were never read"),
    unfounded: count("Acknowledgements without an append"),
    isBalanced: flag(
      "read = filed + duplicates + quarantined + resent + misrouted, and nothing is unaccounted or unfounded",
    ),
  },
  { description: "Messages, summed over all partitions of this gateway's consumer" },
);

const waitingSchema = Type.Object({
  openMessages: count("Messages that were read, but not committed yet"),
  unreadBytes: orNull(Type.Number(), { description: "null = the stream does not report them" }),
  reasons: texts("[] = all acknowledged messages are filed"),
});

/** Describes `GatewayStatus`: the compiler compares both in the route. */
export const statusSchema = Type.Object(
  {
    version: text("Version of Tidegate"),
    startedAt: text("RFC 3339"),
    isReady: flag("True while publishes are acknowledged"),
    reasons: texts("Why publishes are not acknowledged"),
    progress: texts("Progress of the consumer's recovery, before it files again"),
    degraded: texts("Stuck work although publishes are acknowledged"),
    data: text("Data folder"),
    lake: Type.Object({ url: text(), id: text() }),
    stream: text("URL, without secrets"),
    window: text("URL, without secrets"),
    roles: Type.Array(roleSchema, { description: "Processes of this gateway" }),
    processes: Type.Array(processSchema),
    broker: orNull(brokerSchema, { description: "null = it does not answer, or runs elsewhere" }),
    consumer: orNull(consumerSchema, { description: "null = it does not answer, or runs elsewhere" }),
    upkeep: orNull(upkeepSchema, { description: "null = it does not answer, or runs elsewhere" }),
    books: orNull(booksSchema, { description: "null = the consumer does not answer, or runs elsewhere" }),
    waiting: orNull(waitingSchema, { description: "Acknowledged messages that are not in a table yet" }),
  },
  { $id: "Status", description: "Processes, lag and books of the gateway" },
);
