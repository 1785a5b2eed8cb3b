import type { Decoder } from "../decoder.ts";
import { readSchemaDocument } from "../schema-document.ts";

/** Any bytes. */
export const rawDecoder: Decoder = {
  name: "raw",
  description: "no id, no deduplication",
  hasIds: false,
  hasEventTimes: false,
  usesPaths: false,
  whyNotExact: "raw messages have no id",
  whyNoSchema: "a raw topic has no schema, because its payloads are not read",
  // Topics of earlier versions may have a schema.
  read: readSchemaDocument,
};
