import { ProtocolError } from "../../devices/protocol/protocol-error.ts";
import { decodeEnvelope, fieldFaultOf } from "../../devices/protocol/telemetry-envelope.ts";
import { type Instant, isInstantMs } from "./instant.ts";
import { JSON_LEVELS_MAX, JsonDocument, parseJson } from "./json-document.ts";
import { readEventTime, readMessageId } from "./json-message.ts";
import { type ContentFault, contentFault } from "./quarantine-reason.ts";
import type { TopicPlan } from "./topic-plan.ts";

/** What a payload says, as far as it could be read. */
export interface Content {
  messageId: Uint8Array | null;
  /** null = unreadable, or the format has none. */
  eventTime: Instant | null;
  payload: Uint8Array;
  /** What the envelope says beside its id. */
  sequence: bigint | number | null;
  /** To be checked against the topic's schema; null = there is none, or a fault came before. */
  document: JsonDocument | null;
  fault: ContentFault | null;
}

export function unreadContent(payload: Uint8Array): Content {
  return { messageId: null, eventTime: null, payload, sequence: null, document: null, fault: null };
}

/** Fills `content` from its payload. What was read before a fault, or before this throws, stays. */
export function readContent(content: Content, plan: TopicPlan): void {
  content.fault = faultIn(content, plan);
}

function faultIn(content: Content, plan: TopicPlan): ContentFault | null {
  switch (plan.topic.format) {
    case "json":
      return readJsonMessage(content, plan);
    case "envelope":
      return readEnvelopeMessage(content, plan);
    case "raw":
      return readSchemaDocument(content, plan);
    default:
      return plan.topic.format satisfies never;
  }
}

function readJsonMessage(content: Content, plan: TopicPlan): ContentFault | null {
  const document = parseJson(content.payload);
  if (!(document instanceof JsonDocument)) return document;
  const messageId = readMessageId(document, plan.idPath);
  if (!(messageId instanceof Uint8Array)) return messageId;
  content.messageId = messageId;
  const eventTime = readEventTime(document, plan.timePath);
  if ("reason" in eventTime) return eventTime;
  content.eventTime = eventTime;
  return keepDocument(content, plan, document);
}

function readEnvelopeMessage(content: Content, plan: TopicPlan): ContentFault | null {
  try {
    const envelope = decodeEnvelope(content.payload);
    content.messageId = envelope.messageId;
    content.sequence = envelope.sequence ?? null;
    content.payload = envelope.payload;
    if (!isInstantMs(envelope.eventTimeMs))
      return contentFault("event-time-unreadable", "event_time_ms is outside the years 1 to 9999");
    content.eventTime = { ms: envelope.eventTimeMs, micros: 0 };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const field = fieldFaultOf(error);
    // A resend of it is then a duplicate, like any other.
    content.messageId = field?.messageId ?? null;
    return contentFault(field?.fault ?? "payload-undecodable", error.message);
  }
  return readSchemaDocument(content, plan);
}

/** A topic with a schema says that its payloads are JSON, also inside an envelope and for `raw`. */
function readSchemaDocument(content: Content, plan: TopicPlan): ContentFault | null {
  if (plan.schema === null) return null;
  const document = parseJson(content.payload);
  return document instanceof JsonDocument ? keepDocument(content, plan, document) : document;
}

function keepDocument(content: Content, { schema }: TopicPlan, document: JsonDocument): ContentFault | null {
  if (document.isTooDeep)
    return contentFault(
      "payload-too-deep",
      `arrays and objects are nested more than ${JSON_LEVELS_MAX} deep`,
    );
  if (schema !== null) content.document = document;
  return null;
}
