import { Type } from "@sinclair/typebox";
import { registryKinds } from "../../registry/registry-store.ts";
import { consumerSchema } from "./consumer-schema.ts";
import { count, durationMs, flag, oneOf, orNull, text, texts, timeMs } from "./named-schema.ts";
import { producerSchema, streamProperties } from "./stream-schemas.ts";

const roleSchema = oneOf(["broker", "consumer"]);

const processSchema = Type.Object({
  role: roleSchema,
  state: oneOf(
    ["starting", "ready", "waiting", "stopping", "stopped"],
    "waiting = it is started again after a delay",
  ),
  pid: orNull(Type.Integer()),
  restarts: count(),
  hangs: count("How often it was ended since it did nothing"),
  silentForMs: durationMs("For how long nothing was heard of it"),
  refusal: orNull(Type.Object({ code: text(), message: text(), retryable: Type.Boolean() }), {
    description: "Why it can't start",
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
  repeated: count("Those of them that repeat an earlier PUBREC"),
  refused: Type.Record(Type.String(), Type.Integer(), { description: "By reason" }),
  untaken: count("PUBLISH packets that were read and not taken, since their connection ended"),
  sessionDropped: count(),
  retainedDropped: count(),
  isOpen: flag("False = the stream is so full that nobody more may connect"),
  producer: producerSchema,
  registry: Type.Object({
    kind: oneOf(registryKinds),
    trouble: orNull(Type.Object({ code: text(), message: text(), sinceMs: timeMs("Since when") }), {
      description: "Why it can't be asked; null = it answers",
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
    unaccounted: count("Acknowledged and never read"),
    unfounded: count("Acknowledgements that no append stands for"),
    isBalanced: flag(
      "read = filed + duplicates + quarantined + resent + misrouted, and nothing is unaccounted or unfounded",
    ),
  },
  { description: "In messages, over all partitions of this gateway's consumer" },
);

const waitingSchema = Type.Object({
  openMessages: count("Read, and in no commit yet"),
  unreadBytes: orNull(Type.Number(), { description: "null = the stream does not say" }),
  reasons: texts("[] = everything that was acknowledged is filed"),
});

/** The whole of `GatewayStatus`: the compiler compares them where the route answers. */
export const statusSchema = Type.Object(
  {
    version: text("Of Tidegate"),
    startedAt: text("RFC 3339"),
    isReady: flag("True while publishes are acknowledged"),
    reasons: texts("Why publishes are not acknowledged"),
    progress: texts("What the consumer does before it files again"),
    degraded: texts("What is stuck although publishes are acknowledged"),
    data: text("Data folder"),
    lake: Type.Object({ url: text(), id: text() }),
    stream: text("URL, without secrets"),
    window: text("URL, without secrets"),
    roles: Type.Array(roleSchema, { description: "What this gateway runs" }),
    processes: Type.Array(processSchema),
    broker: orNull(brokerSchema, { description: "null = it does not answer, or runs elsewhere" }),
    consumer: orNull(consumerSchema, { description: "null = it does not answer, or runs elsewhere" }),
    books: orNull(booksSchema, { description: "null = the consumer does not answer, or runs elsewhere" }),
    waiting: orNull(waitingSchema, { description: "What was acknowledged and is in no table yet" }),
  },
  { $id: "Status", description: "Processes, lag and books of the gateway" },
);
