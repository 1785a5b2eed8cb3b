import { ProtocolError } from "../../../devices/protocol/protocol-error.ts";
import { decodeEnvelope, fieldFaultOf } from "../../../devices/protocol/telemetry-envelope.ts";
import type { Content } from "../content.ts";
import type { ContentPlan } from "../content-plan.ts";
import type { Decoder } from "../decoder.ts";
import { isInstantMs } from "../instant.ts";
import { type ContentFault, contentFault } from "../quarantine-reason.ts";
import { readSchemaDocument } from "../schema-document.ts";

/** The protobuf of the SDK: `devices/protocol/telemetry-envelope.proto`. */
export const envelopeDecoder: Decoder = {
  name: "envelope",
  description: "Tidegate's protobuf",
  hasIds: true,
  hasEventTimes: true,
  usesPaths: false,
  whyNotExact: null,
  whyNoSchema: null,
  read,
};

function read(content: Content, plan: ContentPlan): ContentFault | null {
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
    // The id is kept, so that a resend of the faulty message is a duplicate.
    content.messageId = field?.messageId ?? null;
    return contentFault(field?.fault ?? "payload-undecodable", error.message);
  }
  return readSchemaDocument(content, plan);
}
