import type { Content } from "../content.ts";
import type { ContentPlan } from "../content-plan.ts";
import type { Decoder } from "../decoder.ts";
import { JsonDocument, parseJson } from "../document/json-document.ts";
import type { ContentFault } from "../quarantine-reason.ts";
import { keepDocument } from "../schema-document.ts";
import { readEventTime, readMessageId } from "./json-message.ts";

/** A JSON document that holds id and event time. */
export const jsonDecoder: Decoder = {
  name: "json",
  description: "id and time at idPath and timePath",
  hasIds: true,
  hasEventTimes: true,
  usesPaths: true,
  whyNotExact: "in json the ids of the SDK look like other ids",
  whyNoSchema: null,
  read,
};

function read(content: Content, plan: ContentPlan): ContentFault | null {
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
