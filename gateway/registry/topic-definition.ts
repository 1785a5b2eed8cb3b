import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { MAX_MESSAGE_PAYLOAD_BYTES, type TopicVersion } from "../../bridge/index.ts";
import { ProtocolError } from "../../devices/protocol/protocol-error.ts";
import { parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import { GatewayError } from "../errors.ts";
import { columnsOfSchema } from "./topic-columns.ts";

const dayMs = 86_400_000;

const identityPattern = Type.String({
  minLength: 1,
  maxLength: 256,
  description: "Name of an identity, or a prefix ending in *",
});
const jsonPath = Type.String({ pattern: "^[^.\\u0000]+(\\.[^.\\u0000]+){0,7}$", maxLength: 256 });

/** What an admin says about a topic; everything but name, filter and format has a default. */
export const topicInputSchema = Type.Object(
  {
    name: Type.String({ pattern: "^[a-z][a-z0-9_]{0,62}$", description: "Name of topic and table" }),
    filter: Type.String({
      minLength: 1,
      maxLength: 1_024,
      description: "MQTT filter; levels may be named: fleet/{device}/telemetry",
    }),
    format: Type.Union([Type.Literal("envelope"), Type.Literal("json"), Type.Literal("raw")], {
      description:
        "envelope = Tidegate's protobuf, json = id and time at idPath and timePath, raw = no id, no dedupe",
    }),
    idPath: Type.Optional(jsonPath),
    timePath: Type.Optional(jsonPath),
    schema: Type.Optional(
      Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()], {
        description:
          "JSON Schema that payloads must satisfy; its flat scalar properties become typed columns",
      }),
    ),
    maxPayloadBytes: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_MESSAGE_PAYLOAD_BYTES })),
    allowedQos: Type.Optional(
      Type.Array(Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)]), {
        minItems: 1,
        uniqueItems: true,
      }),
    ),
    dedupeWindowMs: Type.Optional(Type.Integer({ minimum: 1_000, maximum: 7 * dayMs })),
    dedupe: Type.Optional(
      Type.Union([Type.Literal("window"), Type.Literal("exact")], {
        description:
          "window = ids are remembered for dedupeWindowMs; exact, for the format envelope = ids of the SDK besides that for ever",
      }),
    ),
    publishers: Type.Optional(Type.Array(identityPattern, { maxItems: 1_000 })),
    subscribers: Type.Optional(Type.Array(identityPattern, { maxItems: 1_000 })),
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
  const shapeFault = Value.Errors(topicInputSchema, input).First();
  if (shapeFault) throw invalid(`${shapeFault.path.slice(1) || "the definition"}: ${shapeFault.message}`);
  checkFilter(input.filter);
  const isJson = input.format === "json";
  if (!isJson && (input.idPath !== undefined || input.timePath !== undefined))
    throw invalid("idPath and timePath are for the format json only");
  if (input.dedupe === "exact" && input.format !== "envelope")
    throw invalid(
      `dedupe exact is for the format envelope only: ${input.format === "raw" ? "raw messages have no id" : "in json the SDK's ids can't be told from those of others"}`,
    );
  const schema = input.schema ?? null;
  if (input.format === "raw" && schema !== null)
    throw invalid("a raw topic has no schema: its payloads are not looked into");
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

function checkFilter(filter: string): void {
  try {
    parseTopicFilter(filter);
  } catch (error) {
    if (error instanceof ProtocolError) throw invalid(error.message);
    throw error;
  }
  if (filter.startsWith("$")) throw invalid("filters that begin with $ are the broker's own");
}

function invalid(fault: string): GatewayError {
  return new GatewayError("TOPIC_INVALID", `The topic can't be defined so: ${fault}.`, { retryable: false });
}
