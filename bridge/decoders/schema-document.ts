import type { Content } from "./content.ts";
import type { ContentPlan } from "./content-plan.ts";
import { JsonDocument, jsonLevelsMax, parseJson } from "./document/json-document.ts";
import { type ContentFault, contentFault } from "./quarantine-reason.ts";

/** Payloads of a topic with a schema are JSON, also inside an envelope. */
export function readSchemaDocument(content: Content, plan: ContentPlan): ContentFault | null {
  if (plan.schema === null) return null;
  const document = parseJson(content.payload);
  return document instanceof JsonDocument ? keepDocument(content, plan, document) : document;
}

/** Keeps a document for the check against the topic's schema. */
export function keepDocument(
  content: Content,
  { schema }: ContentPlan,
  document: JsonDocument,
): ContentFault | null {
  if (document.isTooDeep)
    return contentFault("payload-too-deep", `arrays and objects are nested more than ${jsonLevelsMax} deep`);
  if (schema !== null) content.document = document;
  return null;
}
