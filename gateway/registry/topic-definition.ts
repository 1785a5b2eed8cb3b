import { type Static, Type } from "@sinclair/typebox";
import { MAX_MESSAGE_PAYLOAD_BYTES, type TopicVersion } from "../../bridge/index.ts";
import { ProtocolError } from "../../devices/protocol/protocol-error.ts";
import { parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import type { GatewayError } from "../errors.ts";
import { inputError } from "../input/input-error.ts";
import { inputFaults } from "../input/input-faults.ts";
import { columnsOfSchema } from "./topic-columns.ts";

const dayMs = 86_400_000;

const identityPattern = Type.String({
  minLength: 1,
  maxLength: 256,
  description: "Name of an identity, or a prefix ending in *",
});
const identityPatterns = (what: string) =>
  Type.Array(identityPattern, {
    maxItems: 1_000,
    expected: "a list of at most 1000 names of identities, or prefixes ending in *",
    description: `Identities that may ${what}; default: all`,
  });
const jsonPath = (what: string) =>
  Type.String({
    pattern: "^[^.\\u0000]+(\\.[^.\\u0000]+){0,7}$",
    maxLength: 256,
    expected: "names of fields with dots between them, such as meta.id, at most 8",
    description: `json: where the ${what} is`,
  });

/** What an admin says about a topic; everything but name, filter and format has a default. */
export const topicInputSchema = Type.Object(
  {
    name: Type.String({
      pattern: "^[a-z][a-z0-9_]{0,62}$",
      expected: "a name of at most 63 small letters, digits and _, that begins with a letter",
      description: "Name of topic and table",
    }),
    filter: Type.String({
      minLength: 1,
      maxLength: 1_024,
      description: "MQTT filter; levels may be named: fleet/{device}/telemetry",
    }),
    format: Type.Union([Type.Literal("envelope"), Type.Literal("json"), Type.Literal("raw")], {
      description:
        "envelope = Tidegate's protobuf, json = id and time at idPath and timePath, raw = no id, no dedupe",
    }),
    idPath: Type.Optional(jsonPath("message id")),
    timePath: Type.Optional(jsonPath("event time")),
    schema: Type.Optional(
      Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()], {
        expected: "a JSON Schema as an object, or null",
        description:
          "JSON Schema that payloads must satisfy; its flat scalar properties become typed columns",
      }),
    ),
    maxPayloadBytes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_MESSAGE_PAYLOAD_BYTES,
        description: "Largest payload; default: 131072",
      }),
    ),
    allowedQos: Type.Optional(
      Type.Array(Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)]), {
        minItems: 1,
        uniqueItems: true,
        expected: "a list of 0, 1 and 2, each at most once",
        description: "Allowed QoS; default: all",
      }),
    ),
    dedupeWindowMs: Type.Optional(
      Type.Integer({
        minimum: 1_000,
        maximum: 7 * dayMs,
        description: "How long ids are remembered, in stream time, ms; default: 3600000",
      }),
    ),
    dedupe: Type.Optional(
      Type.Union([Type.Literal("window"), Type.Literal("exact")], {
        description:
          "window = ids are remembered for dedupeWindowMs; exact, for the format envelope = ids of the SDK besides that for ever",
      }),
    ),
    publishers: Type.Optional(identityPatterns("publish")),
    subscribers: Type.Optional(identityPatterns("subscribe")),
    messagesPerSecond: Type.Optional(
      Type.Union([Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }), Type.Null()], {
        description: "Most messages per second of one connection on this topic; null = unlimited",
      }),
    ),
  },
  { additionalProperties: false },
);

export type TopicInput = Static<typeof topicInputSchema>;

/** A checked definition: what a version of a topic says, without its identity. */
export interface TopicDefinition extends Omit<TopicVersion, "topicId" | "version"> {
  readonly filter: string;
  readonly maxPayloadBytes: number;
  readonly allowedQos: readonly (0 | 1 | 2)[];
  readonly publishers: readonly string[];
  readonly subscribers: readonly string[];
  readonly messagesPerSecond: number | null;
}

/** One immutable version of a topic, as it stands in the registry and in the lake. */
export interface TopicRecord extends TopicDefinition {
  readonly topicId: string;
  readonly version: number;
  readonly createdAtMs: number;
  /** True for the version that stopped acceptance; it repeats the definition before it. */
  readonly deleted: boolean;
}

export const topicDefaults = {
  idPath: "id",
  timePath: "ts",
  maxPayloadBytes: 131_072,
  allowedQos: [0, 1, 2],
  dedupeWindowMs: 3_600_000,
  publishers: ["*"],
  subscribers: ["*"],
  messagesPerSecond: null,
} as const;

/** Throws TOPIC_INVALID or TOPIC_SCHEMA_INVALID, with what to write instead. */
export function defineTopic(input: TopicInput): TopicDefinition {
  const faults = inputFaults(topicInputSchema, input);
  if (faults.length > 0) throw inputError("TOPIC_INVALID", refused, faults);
  checkFilter(input.filter);
  checkFormat(input);
  const isJson = input.format === "json";
  const schema = input.schema ?? null;
  return {
    name: input.name,
    filter: input.filter,
    format: input.format,
    idPath: isJson ? (input.idPath ?? topicDefaults.idPath) : "",
    timePath: isJson ? (input.timePath ?? topicDefaults.timePath) : "",
    schema,
    columns: schema === null ? [] : columnsOfSchema(schema),
    maxPayloadBytes: input.maxPayloadBytes ?? topicDefaults.maxPayloadBytes,
    allowedQos: [...(input.allowedQos ?? topicDefaults.allowedQos)].sort(),
    dedupeWindowMs: input.dedupeWindowMs ?? topicDefaults.dedupeWindowMs,
    // Left out where it is the default: definitions stored before there was a choice stay equal to themselves.
    ...(input.dedupe === "exact" && { dedupe: input.dedupe }),
    publishers: input.publishers ?? topicDefaults.publishers,
    subscribers: input.subscribers ?? topicDefaults.subscribers,
    messagesPerSecond: input.messagesPerSecond ?? topicDefaults.messagesPerSecond,
  };
}

/** Some fields are for one format only. */
function checkFormat(input: TopicInput): void {
  for (const where of ["idPath", "timePath"] as const)
    if (input.format !== "json" && input[where] !== undefined)
      throw invalid(where, input[where], "this is for the format json only");
  if (input.dedupe === "exact" && input.format !== "envelope")
    throw invalid(
      "dedupe",
      input.dedupe,
      `this is for the format envelope only: ${input.format === "raw" ? "raw messages have no id" : "in json the SDK's ids can't be told from those of others"}`,
    );
  if (input.format === "raw" && input.schema)
    throw invalid("schema", input.schema, "a raw topic has no schema: its payloads are not looked into");
}

function checkFilter(filter: string): void {
  try {
    parseTopicFilter(filter);
  } catch (error) {
    if (error instanceof ProtocolError) throw invalid("filter", filter, error.message);
    throw error;
  }
  if (filter.startsWith("$"))
    throw invalid("filter", filter, "filters that begin with $ are the broker's own");
}

const refused = "The topic can't be defined so: ";

function invalid(where: keyof TopicInput, value: unknown, mend: string): GatewayError {
  return inputError("TOPIC_INVALID", refused, [{ where, kind: "wrong", value, mend }]);
}
