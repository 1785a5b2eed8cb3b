import { Type } from "@sinclair/typebox";
import { formats, pathFormatText } from "../../registry/topic-formats.ts";
import { count, flag, named, oneOf, orNull, text, texts, timeMs } from "../../schema/named-schema.ts";

const columnSchema = Type.Object({
  name: text("Name of the property and of the column"),
  type: oneOf(["boolean", "long", "double", "string", "timestamp"]),
});

/** A version of a topic. */
export const topicSchema = Type.Object(
  {
    topicId: text("Same for all versions, also if a deleted topic is created again"),
    version: count("1, 2, …"),
    name: text("Name of topic and table"),
    filter: text("MQTT filter; levels may be named"),
    format: oneOf(formats),
    idPath: text(`${pathFormatText}: path of the message id; otherwise empty`),
    timePath: text(`${pathFormatText}: path of the event time; otherwise empty`),
    schema: orNull(Type.Record(Type.String(), Type.Unknown()), {
      description: "JSON Schema of payloads; null = any",
    }),
    columns: Type.Array(columnSchema, { description: "Typed columns from the schema" }),
    maxPayloadBytes: count(),
    allowedQos: Type.Array(Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)])),
    dedupeWindowMs: count("Time for which ids are remembered, in stream time, ms"),
    dedupe: Type.Optional(oneOf(["window", "exact"], "Absent = window")),
    eventPastMs: count("How far before the ingest time an event time may be, ms"),
    eventAheadMs: count("How far after the ingest time an event time may be, ms"),
    retentionMs: orNull(Type.Integer(), {
      description:
        "How long rows stay in the table after the end of their event hour, ms; null = for ever. Of the newest version",
    }),
    publishers: texts("Identities that may publish, names or prefixes ending in *"),
    subscribers: texts("Identities that may subscribe, names or prefixes ending in *"),
    messagesPerSecond: orNull(Type.Number(), { description: "Limit for one connection; null = unlimited" }),
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
    created: flag("False = the topic has this definition already and was not changed"),
  },
  { description: "The current topic" },
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
