import { crc32 } from "node:zlib";
import { ProtocolError } from "../../devices/protocol/protocol-error.ts";
import { decodeEnvelope, fieldFaultOf } from "../../devices/protocol/telemetry-envelope.ts";
import type { BlockMessage } from "../block/block-format.ts";
import type { ColumnValue, Row } from "../storage/batch-writer.ts";
import { contentHash } from "../storage/content-hash.ts";
import { readColumns } from "./column-values.ts";
import { sequenceOfId } from "./exact-id-columns.ts";
import { type Instant, isInstantMs } from "./instant.ts";
import { JsonDocument, parseJson } from "./json-document.ts";
import { type JsonPath, jsonPath, readEventTime, readMessageId } from "./json-message.ts";
import { PayloadSchema } from "./payload-schema.ts";
import { type ContentFault, contentFault } from "./quarantine-reason.ts";
import type { TopicVersion } from "./topic-catalog.ts";

const dayMs = 86_400_000;
/** Event times outside [ingest time − 7 d, ingest time + 1 h] are filed under their ingest time, with a flag. */
const EVENT_TIME_PAST_MAX_MS = 7 * dayMs;
const EVENT_TIME_AHEAD_MAX_MS = 3_600_000;

/** Where a message stands in the stream. */
export interface Place {
  readonly streamId: string;
  readonly partition: number;
  readonly position: string;
  /** What has expired by then is forgotten. */
  readonly streamTimeMs: number;
  /** Stream time of the rows: when they expire is counted from it. */
  readonly rowTimeMs: number;
  /** Wall clock of the producer. */
  readonly ingestTimeMs: number;
}

/** A message with everything that filing it takes. */
export interface JudgedMessage {
  readonly topic: TopicVersion;
  readonly row: Row;
  /** What has expired by then is forgotten. */
  readonly streamTimeMs: number;
  readonly values: readonly ColumnValue[];
  /** Of `row`: what tells a resend from an id that was used again. */
  readonly contentHash: number;
  /** Of an id that the SDK made, in a topic with exact deduplication; null = the topic's window alone decides. */
  readonly exactSequence: number | null;
  /** null = it belongs in its topic's table, unless it is a duplicate. */
  readonly fault: ContentFault | null;
  /** Under what else a first copy of it may be known: see `withOtherReadings`. */
  readonly others: readonly OtherReading[];
}

/** What another topic, or another version of this one, would have made of a message. */
export interface OtherReading {
  readonly topicId: string;
  readonly messageId: Uint8Array;
  readonly contentHash: number;
}

interface Content {
  messageId: Uint8Array | null;
  /** null = unreadable, or the format has none. */
  eventTime: Instant | null;
  payload: Uint8Array;
  /** What the envelope says beside its id. */
  sequence: bigint | number | null;
  values: readonly ColumnValue[];
  fault: ContentFault | null;
}

/** A topic version made ready: its paths split, its schema compiled. */
interface Plan {
  readonly topic: TopicVersion;
  readonly idPath: JsonPath;
  readonly timePath: JsonPath;
  readonly schema: PayloadSchema | null;
  readonly schemaFault: ContentFault | null;
}

const noValues: readonly ColumnValue[] = [];
const noOthers: readonly OtherReading[] = [];

/** Decodes messages and judges their content, each by exactly the topic version that its block names. Never throws for content. */
export class MessageJudge {
  readonly #plans = new WeakMap<TopicVersion, Plan>();

  judge(message: BlockMessage, index: number, topic: TopicVersion, place: Place): JudgedMessage {
    const content = readContent(message.payload, this.#plan(topic));
    const { ingestTimeMs, streamTimeMs } = place;
    const { ms: eventTimeMs, micros: eventTimeMicros } = content.eventTime ?? { ms: ingestTimeMs, micros: 0 };
    const row: Row = {
      deviceId: message.deviceId,
      topicName: message.topicName,
      messageId: content.messageId,
      eventTimeMs,
      eventTimeMicros,
      eventTimeOutside:
        content.eventTime === null ? topic.format !== "raw" : isOutside(eventTimeMs, ingestTimeMs),
      ingestTimeMs,
      streamTimeMs: place.rowTimeMs,
      payload: content.payload,
      payloadCrc: crc32(content.payload) | 0,
      streamId: place.streamId,
      partition: place.partition,
      position: place.position,
      index,
    };
    const { values, fault } = content;
    const exactSequence = exactSequenceOf(topic, content);
    return {
      topic,
      row,
      streamTimeMs,
      values,
      contentHash: contentHash(row),
      exactSequence,
      fault,
      others: noOthers,
    };
  }

  #plan(topic: TopicVersion): Plan {
    const known = this.#plans.get(topic);
    if (known) return known;
    const plan = planOf(topic);
    this.#plans.set(topic, plan);
    return plan;
  }
}

function planOf(topic: TopicVersion): Plan {
  const paths = { idPath: jsonPath(topic.idPath), timePath: jsonPath(topic.timePath) };
  if (topic.schema === null) return { topic, ...paths, schema: null, schemaFault: null };
  try {
    return { topic, ...paths, schema: new PayloadSchema(topic.schema), schemaFault: null };
  } catch (error) {
    const why = error instanceof Error ? error.message : "the topic's JSON Schema can't be used";
    return { topic, ...paths, schema: null, schemaFault: contentFault("schema-unusable", why) };
  }
}

/** The SDK says the sequence twice, in the id and beside it: ids of others that look alike are not taken for its own. */
function exactSequenceOf(topic: TopicVersion, { messageId, sequence }: Content): number | null {
  if (topic.dedupe !== "exact" || messageId === null || sequence === null) return null;
  const inId = sequenceOfId(messageId);
  return inId !== null && Number(sequence) === inId ? inId : null;
}

function isOutside(eventTimeMs: number, ingestTimeMs: number): boolean {
  return (
    eventTimeMs < ingestTimeMs - EVENT_TIME_PAST_MAX_MS ||
    eventTimeMs > ingestTimeMs + EVENT_TIME_AHEAD_MAX_MS
  );
}

function readContent(payload: Uint8Array, plan: Plan): Content {
  const content = {
    messageId: null,
    eventTime: null,
    payload,
    sequence: null,
    values: noValues,
    fault: null,
  };
  switch (plan.topic.format) {
    case "json":
      return readJsonMessage(content, plan);
    case "envelope":
      return readEnvelopeMessage(content, plan);
    case "raw":
      return readSchema(content, plan);
    default:
      return plan.topic.format satisfies never;
  }
}

function readJsonMessage(content: Content, plan: Plan): Content {
  const document = parseJson(content.payload);
  if (!(document instanceof JsonDocument)) return failed(content, document);
  const messageId = readMessageId(document, plan.idPath);
  if (!(messageId instanceof Uint8Array)) return failed(content, messageId);
  content.messageId = messageId;
  const eventTime = readEventTime(document, plan.timePath);
  if ("reason" in eventTime) return failed(content, eventTime);
  content.eventTime = eventTime;
  return plan.topic.schema === null ? content : readValues(content, plan, document);
}

function readEnvelopeMessage(content: Content, plan: Plan): Content {
  try {
    const envelope = decodeEnvelope(content.payload);
    content.messageId = envelope.messageId;
    content.sequence = envelope.sequence ?? null;
    content.payload = envelope.payload;
    if (!isInstantMs(envelope.eventTimeMs))
      return failed(
        content,
        contentFault("event-time-unreadable", "event_time_ms is outside the years 1 to 9999"),
      );
    content.eventTime = { ms: envelope.eventTimeMs, micros: 0 };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const field = fieldFaultOf(error);
    // A resend of it is then a duplicate, like any other.
    content.messageId = field?.messageId ?? null;
    return failed(content, contentFault(field?.fault ?? "payload-undecodable", error.message));
  }
  return readSchema(content, plan);
}

/** A topic with a schema says that its payloads are JSON, also inside an envelope and for `raw`. */
function readSchema(content: Content, plan: Plan): Content {
  if (plan.topic.schema === null) return content;
  const document = parseJson(content.payload);
  return document instanceof JsonDocument ? readValues(content, plan, document) : failed(content, document);
}

function readValues(content: Content, plan: Plan, document: JsonDocument): Content {
  if (plan.schemaFault) return failed(content, plan.schemaFault);
  const violation = plan.schema?.violationOf(document);
  if (violation) return failed(content, contentFault("schema-violated", violation));
  const values = readColumns(document, plan.topic.columns);
  if (typeof values === "string") return failed(content, contentFault("schema-violated", values));
  content.values = values;
  return content;
}

function failed(content: Content, fault: ContentFault): Content {
  content.fault = fault;
  return content;
}
