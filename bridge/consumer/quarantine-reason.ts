/** Why a message stands in `_quarantine` and not in its topic's table. Part of the data: never rename one. */
export const quarantineReasons = [
  // The envelope does not parse, or JSON that isn't JSON or not UTF-8.
  "payload-undecodable",
  // json: nothing at the topic's id path. envelope: no message_id, or an empty one.
  "id-missing",
  // More than 64 bytes.
  "id-too-long",
  // Empty; or neither a string nor a whole number; or text that UTF-8 can't carry.
  "id-unreadable",
  // Outside the years 1 to 9999; json: also nothing at the time path, or neither ms since the epoch nor an RFC 3339 time.
  "event-time-unreadable",
  // The payload does not satisfy the topic version's JSON Schema, or a value does not fit its typed column.
  "schema-violated",
  // JSON with more than 128 levels of arrays and objects.
  "payload-too-deep",
  // The topic version's JSON Schema does not compile.
  "schema-unusable",
  // To check it against the topic version's JSON Schema takes longer than a message may.
  "schema-too-slow",
  // A fault of Tidegate: it met what it did not expect, in this message alone.
  "judging-failed",
  // A fault of Tidegate: no file with this row could be written.
  "filing-failed",
  // The id was filed with other content (payload, event time or topic name), in an exact topic at any time, in others within the
  // topic's window: a device that uses ids again, not a resend.
  "id-reused",
  // Exact topics: the id was used before the topic's window, and whether with this content could not be found out.
  "exact-unsure",
] as const;

export type QuarantineReason = (typeof quarantineReasons)[number];

/** Longer details are cut. */
export const DETAIL_MAX_LENGTH = 500;

export interface ContentFault {
  readonly reason: QuarantineReason;
  /** For people: what exactly is wrong. */
  readonly detail: string;
}

export function contentFault(reason: QuarantineReason, detail: string): ContentFault {
  return { reason, detail: detail.slice(0, DETAIL_MAX_LENGTH).toWellFormed() };
}

/** What was thrown is a fault of ours. */
export function failedToJudge(error: unknown): ContentFault {
  return contentFault("judging-failed", `Tidegate failed to judge it: ${String(error)}`);
}
