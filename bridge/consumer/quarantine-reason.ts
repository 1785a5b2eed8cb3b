/** What the device's owner does about a quarantined message. */
interface QuarantineEntry {
  readonly meaning: string;
  readonly remedy: string;
}

/**
 * Why a message stands in `_quarantine` and not in its topic's table. The reasons are part of the data: never rename one.
 * docs/reference/errors.md is made from these entries.
 */
export const quarantines = {
  "payload-undecodable": {
    meaning: "The payload is not an envelope, not JSON or not UTF-8.",
    remedy: "Correct what the device sends, or the topic's `--format`.",
  },
  "id-missing": {
    meaning: "json: nothing stands at the topic's id path. envelope: `message_id` is missing or empty.",
    remedy: "Send an id, or correct `--id-path` of the topic. A topic of format raw needs none.",
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
      "The event time is outside the years 1 to 9999. json: also if the time path holds neither milliseconds since the epoch nor an RFC 3339 time.",
    remedy: "Correct the device's clock or format, or `--time-path` of the topic.",
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
    meaning: "The JSON Schema of the topic version does not compile.",
    remedy: "Correct the schema with `tidegate topics update NAME --schema FILE`.",
  },
  "schema-too-slow": {
    meaning: "Checking the message against the topic's JSON Schema takes longer than a message may.",
    remedy: "Simplify the schema: fewer nested `anyOf` and `oneOf` branches, and shorter lists.",
  },
  "judging-failed": {
    meaning: "A fault of Tidegate: it met something unexpected in this message alone.",
    remedy: "Report it with the detail and the log's stack.",
  },
  "filing-failed": {
    meaning: "A fault of Tidegate: no file with this row could be written.",
    remedy: "Report it with the detail and the log's stack.",
  },
  "id-reused": {
    meaning:
      "The id was filed before with other content: payload, event time or topic name. The device uses ids again; this is not a resend.",
    remedy:
      "Let the device draw new ids. An outbox that was copied or restored repeats them: start it with an empty folder.",
  },
  "exact-unsure": {
    meaning:
      "Exact topics: the id was used before the topic's window, and whether with this content could not be found out.",
    remedy: "Compare it with the table by device and event time. It is usually a late resend, filed already.",
  },
} as const satisfies Record<string, QuarantineEntry>;

export type QuarantineReason = keyof typeof quarantines;

export const quarantineReasons = Object.keys(quarantines) as readonly QuarantineReason[];

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
