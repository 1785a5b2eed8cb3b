/** For the owner of the device: what a reason means, and what to do. */
interface QuarantineEntry {
  readonly meaning: string;
  readonly remedy: string;
}

/**
 * Why a message is in `_quarantine` and not in its topic's table. The reasons are stored in rows: never
 * rename one. docs/reference/errors.md is generated from these entries.
 */
export const quarantines = {
  "payload-undecodable": {
    meaning: "The payload is not an envelope, not JSON or not UTF-8.",
    remedy: "Correct what the device sends, or the topic's `--format`.",
  },
  "id-missing": {
    meaning: "json: there is no value at the topic's id path. envelope: `message_id` is missing or empty.",
    remedy: "Send an id, or correct the topic's `--id-path`. Topics of format raw need no id.",
  },
  "id-too-long": {
    meaning: "The id has more than 64 bytes.",
    remedy: "Send shorter ids.",
  },
  "id-unreadable": {
    meaning: "The id is empty, is neither a string nor a whole number, or is text that UTF-8 can't carry.",
    remedy: "Send the id as a string or a whole number.",
  },
  "event-time-unreadable": {
    meaning:
      "The event time is outside the years 1 to 9999. json: the value at the time path is neither milliseconds since the epoch nor an RFC 3339 time.",
    remedy: "Correct the device's clock or format, or the topic's `--time-path`.",
  },
  "schema-violated": {
    meaning:
      "The payload does not satisfy the topic's JSON Schema, or a value does not fit its typed column.",
    remedy: "Correct what the device sends, or the schema with `tidegate topics update NAME --schema FILE`.",
  },
  "payload-too-deep": {
    meaning: "The JSON has more than 128 levels of arrays and objects.",
    remedy: "Send flatter documents.",
  },
  "schema-unusable": {
    meaning: "The JSON Schema of the topic version does not compile, or has a column that every table has.",
    remedy:
      "Correct the schema with `tidegate topics update NAME --schema FILE`, or create another topic if the detail says so.",
  },
  "schema-too-slow": {
    meaning: "The check against the topic's JSON Schema took too long.",
    remedy: "Simplify the schema: fewer nested `anyOf` and `oneOf` branches, and shorter lists.",
  },
  "judging-failed": {
    meaning: "A fault of Tidegate: judging this message failed unexpectedly.",
    remedy: "Report it with the detail and the log's stack.",
  },
  "filing-failed": {
    meaning: "A fault of Tidegate: no file with this row could be written.",
    remedy: "Report it with the detail and the log's stack.",
  },
  "id-reused": {
    meaning:
      "The id was filed before with another payload, event time or topic name. The device reuses ids; this is not a resend.",
    remedy:
      "Let the device use new ids. A copied or restored outbox repeats ids: start it with an empty folder.",
  },
  "exact-unsure": {
    meaning: "Exact topics: the id was used before the dedupe window, and its content then is unknown.",
    remedy:
      "Compare the message with the table by device and event time. It is usually a late resend, filed already.",
  },
} as const satisfies Record<string, QuarantineEntry>;

export type QuarantineReason = keyof typeof quarantines;

export const quarantineReasons = Object.keys(quarantines) as readonly QuarantineReason[];

/** In characters. Longer details are cut. */
export const detailMaxLength = 500;

export interface ContentFault {
  readonly reason: QuarantineReason;
  /** For people: what is wrong in this message. */
  readonly detail: string;
}

export function contentFault(reason: QuarantineReason, detail: string): ContentFault {
  return { reason, detail: detail.slice(0, detailMaxLength).toWellFormed() };
}

/** The fault of a message on which Tidegate itself failed with `error`. */
export function failedToJudge(error: unknown): ContentFault {
  return contentFault("judging-failed", `Tidegate failed to judge it: ${String(error)}`);
}
