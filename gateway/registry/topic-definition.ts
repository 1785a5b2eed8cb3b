import { type Static, Type } from "@sinclair/typebox";
import { maxMessagePayloadBytes } from "../../bridge/block/index.ts";
import { decoderOf } from "../../bridge/config.ts";
import {
  eventTimeBoundLimits,
  eventTimeBoundsOf,
  retentionLimits,
  type TopicVersion,
} from "../../bridge/topics/index.ts";
import { ProtocolError } from "../../devices/protocol/protocol-error.ts";
import { parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import type { GatewayError } from "../errors.ts";
import { inputError } from "../input/input-error.ts";
import { inputFaults } from "../input/input-faults.ts";
import { oneOf } from "../schema/named-schema.ts";
import { columnsOfSchema } from "./topic-columns.ts";
import { exactFormatText, formatMeanings, formats, pathFormatText } from "./topic-formats.ts";

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
    description: `${pathFormatText}: path of the ${what}`,
  });

const eventTimeBound = (what: string, standard: string) =>
  Type.Integer({
    minimum: eventTimeBoundLimits.minMs,
    maximum: eventTimeBoundLimits.maxMs,
    description: `How far ${what} the ingest time an event time may be, ms; rows beyond are flagged and filed by their ingest time; default: ${standard}`,
  });

/** The definition of a topic by an administrator. Fields except name, filter and format have defaults. */
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
    format: oneOf(formats, formatMeanings),
    idPath: Type.Optional(jsonPath("message id")),
    timePath: Type.Optional(jsonPath("event time")),
    schema: Type.Optional(
      Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()], {
        expected: "a JSON Schema as an object, or null",
        description:
          "JSON Schema of the payloads; its scalar properties at the top level become typed columns",
      }),
    ),
    maxPayloadBytes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: maxMessagePayloadBytes,
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
        description: "Time for which ids are remembered, in stream time, ms; default: 3600000",
      }),
    ),
    dedupe: Type.Optional(
      Type.Union([Type.Literal("window"), Type.Literal("exact")], {
        description: `window = ids are remembered for dedupeWindowMs; exact, for the format ${exactFormatText} only = ids of the SDK are remembered for ever`,
      }),
    ),
    eventPastMs: Type.Optional(eventTimeBound("before", "604800000, which is 7 days")),
    eventAheadMs: Type.Optional(eventTimeBound("after", "3600000, which is 1 hour")),
    retentionMs: Type.Optional(
      Type.Union(
        [Type.Integer({ minimum: retentionLimits.minMs, maximum: retentionLimits.maxMs }), Type.Null()],
        {
          expected: `a whole number from ${retentionLimits.minMs}, which is 1 day, to ${retentionLimits.maxMs}, which is 100 years, or null`,
          description:
            "How long rows stay in the table after the end of their event hour, ms; older hours are removed; null = for ever; default: null",
        },
      ),
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

/** A checked definition: a version of a topic without its identity. */
export interface TopicDefinition extends Omit<TopicVersion, "topicId" | "version"> {
  readonly filter: string;
  readonly maxPayloadBytes: number;
  readonly allowedQos: readonly (0 | 1 | 2)[];
  readonly publishers: readonly string[];
  readonly subscribers: readonly string[];
  readonly messagesPerSecond: number | null;
}

/** One immutable version of a topic, as the registry and the lake hold it. */
export interface TopicRecord extends TopicDefinition {
  readonly topicId: string;
  readonly version: number;
  readonly createdAtMs: number;
  /** True for the version that stopped acceptance; it repeats the previous definition. */
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

/** Throws TOPIC_INVALID or TOPIC_SCHEMA_INVALID, which say what to write instead. */
export function defineTopic(input: TopicInput): TopicDefinition {
  const faults = inputFaults(topicInputSchema, input);
  if (faults.length > 0) throw inputError("TOPIC_INVALID", refused, faults);
  checkFilter(input.filter);
  checkFormat(input);
  const { usesPaths } = decoderOf(input);
  const schema = input.schema ?? null;
  return {
    name: input.name,
    filter: input.filter,
    format: input.format,
    idPath: usesPaths ? (input.idPath ?? topicDefaults.idPath) : "",
    timePath: usesPaths ? (input.timePath ?? topicDefaults.timePath) : "",
    schema,
    columns: schema === null ? [] : columnsOfSchema(schema),
    maxPayloadBytes: input.maxPayloadBytes ?? topicDefaults.maxPayloadBytes,
    allowedQos: [...(input.allowedQos ?? topicDefaults.allowedQos)].sort(),
    dedupeWindowMs: input.dedupeWindowMs ?? topicDefaults.dedupeWindowMs,
    // Left out if it is the default: definitions from before this field existed stay equal.
    ...(input.dedupe === "exact" && { dedupe: input.dedupe }),
    ...ownBounds(input),
    ...(typeof input.retentionMs === "number" && { retentionMs: input.retentionMs }),
    publishers: input.publishers ?? topicDefaults.publishers,
    subscribers: input.subscribers ?? topicDefaults.subscribers,
    messagesPerSecond: input.messagesPerSecond ?? topicDefaults.messagesPerSecond,
  };
}

/** The bounds that differ from the default. Others are left out, as in definitions from before these fields. */
function ownBounds(input: TopicInput): Pick<TopicDefinition, "eventPastMs" | "eventAheadMs"> {
  const [own, standard] = [eventTimeBoundsOf(input), eventTimeBoundsOf({})];
  return {
    ...(own.pastMs !== standard.pastMs && { eventPastMs: own.pastMs }),
    ...(own.aheadMs !== standard.aheadMs && { eventAheadMs: own.aheadMs }),
  };
}

/** A record with the fields that it leaves out, as administrators see it. */
export type ShownTopic = Omit<TopicRecord, "retentionMs"> &
  Required<Pick<TopicRecord, "eventPastMs" | "eventAheadMs">> & {
    /** null = for ever. */
    readonly retentionMs: number | null;
  };

export function shownTopic(record: TopicRecord): ShownTopic {
  const { pastMs, aheadMs } = eventTimeBoundsOf(record);
  return { ...record, eventPastMs: pastMs, eventAheadMs: aheadMs, retentionMs: record.retentionMs ?? null };
}

/** Some fields apply to some formats only. */
function checkFormat(input: TopicInput): void {
  const { usesPaths, whyNotExact, whyNoSchema, hasEventTimes } = decoderOf(input);
  for (const where of ["idPath", "timePath"] as const)
    if (!usesPaths && input[where] !== undefined)
      throw invalid(where, input[where], `this is for the format ${pathFormatText} only`);
  if (input.dedupe === "exact" && whyNotExact !== null)
    throw invalid("dedupe", input.dedupe, `this is for the format ${exactFormatText} only: ${whyNotExact}`);
  if (!hasEventTimes && Object.keys(ownBounds(input)).length > 0)
    throw invalid(
      "format",
      input.format,
      "messages of this format have no event times: leave out their bounds, or set them to 7 days and 1 hour, the default",
    );
  if (input.schema && whyNoSchema !== null) throw invalid("schema", input.schema, whyNoSchema);
}

function checkFilter(filter: string): void {
  try {
    parseTopicFilter(filter);
  } catch (error) {
    if (error instanceof ProtocolError) throw invalid("filter", filter, error.message);
    throw error;
  }
  if (filter.startsWith("$"))
    throw invalid("filter", filter, "filters that begin with $ are reserved for the broker");
}

const refused = "The topic is not valid: ";

function invalid(where: keyof TopicInput, value: unknown, mend: string): GatewayError {
  return inputError("TOPIC_INVALID", refused, [{ where, kind: "wrong", value, mend }]);
}
