import type { JsonDocument } from "./document/json-document.ts";
import type { Instant } from "./instant.ts";
import type { ContentFault } from "./quarantine-reason.ts";

/** The parts of a payload that could be read. */
export interface Content {
  messageId: Uint8Array | null;
  /** null if unreadable, or if the format has no event time. */
  eventTime: Instant | null;
  payload: Uint8Array;
  /** The sequence field of the envelope, beside its id; null if absent or for other formats. */
  sequence: bigint | number | null;
  /** The document to check against the topic's schema; null if there is no schema, or after a fault. */
  document: JsonDocument | null;
  fault: ContentFault | null;
}

export function unreadContent(payload: Uint8Array): Content {
  return { messageId: null, eventTime: null, payload, sequence: null, document: null, fault: null };
}
