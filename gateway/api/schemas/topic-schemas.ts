import { Type } from "@sinclair/typebox";
import { count, flag, named, oneOf, orNull, text, texts, timeMs } from "./named-schema.ts";

const columnSchema = Type.Object({
  name: text("Name of the property and of the column"),
  type: oneOf(["boolean", "long", "double", "string", "timestamp"]),
});

/** A version of a topic. */
export const topicSchema = Type.Object(
  {
    topicId: text("Stays the same over all versions, and if a deleted topic is created again"),
    version: count("1, 2, …"),
    name: text("Name of topic and table"),
    filter: text("MQTT filter; levels may be named"),
    format: oneOf(["envelope", "json", "raw"]),
    idPath: text("json: where the message id is; else empty"),
    timePath: text("json: where the event time is; else empty"),
    schema: orNull(Type.Record(Type.String(), Type.Unknown()), {
      description: "JSON Schema of payloads; null = any",
    }),
    columns: Type.Array(columnSchema, { description: "Typed columns made from the schema" }),
    maxPayloadBytes: count(),
    allowedQos: Type.Array(Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)])),
    dedupeWindowMs: count("How long ids are remembered, in stream time, ms"),
    dedupe: Type.Optional(oneOf(["window", "exact"], "Absent = window")),
    publishers: texts("Identities that may publish, names or prefixes ending in *"),
    subscribers: texts("Identities that may subscribe, names or prefixes ending in *"),
    messagesPerSecond: orNull(Type.Number(), { description: "Of one connection; null = unlimited" }),
    createdAtMs: timeMs("When this version was stored"),
    deleted: flag("True for the version that stopped acceptance"),
  },
  { $id: "Topic", description: "A version of a topic" },
);

export const topicListSchema = Type.Object(
  { topics: Type.Array(named(topicSchema)) },
  { description: "The newest version of each topic, by name" },
);

export const topicChangeSchema = Type.Object(
  {
    topic: named(topicSchema),
    created: flag("False = the topic has this definition already, and nothing was changed"),
  },
  { description: "The topic as it is now" },
);

export const topicVersionsSchema = Type.Object(
  {
    topic: named(topicSchema),
    versions: Type.Array(named(topicSchema), { description: "Oldest first; the last one is `topic`" }),
  },
  { description: "The topic with all its versions" },
);

export const deletedTopicSchema = Type.Object(
  { topic: named(topicSchema) },
  { description: "The version that stopped acceptance" },
);
