import { MESSAGE_ID_MAX_BYTES } from "../../devices/protocol/message-id.ts";
import { type ContentFault, contentFault } from "./quarantine-reason.ts";

/** Years 1 to 9999: what every reader of the tables can show. */
const EVENT_TIME_MIN_MS = -62_135_596_800_000;
const EVENT_TIME_MAX_MS = 253_402_300_799_999;
/** ISO 8601 with a date, a time and a zone. Without a zone it would mean another moment on each machine. */
const isoInstant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

/** The JSON value, or why there is none. */
export function parseJson(payload: Uint8Array): { value: unknown } | { fault: ContentFault } {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const text = bytes.toString("utf8");
  // Only text with a replacement character can come from bytes that are not UTF-8.
  if (text.includes("\uFFFD") && !bytes.equals(Buffer.from(text, "utf8")))
    return { fault: contentFault("payload-undecodable", "the payload is not UTF-8") };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    const why = error instanceof Error ? error.message : "syntax error";
    return { fault: contentFault("payload-undecodable", `the payload is not JSON: ${why}`) };
  }
}

/** What stands at a dotted path, own properties only; undefined where nothing does. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}

/** Message id of a json topic: UTF-8 of a string, decimal text of a number. */
export function readMessageId(value: unknown, path: string): Uint8Array | ContentFault {
  if (value === undefined || value === null) return contentFault("id-missing", `nothing at ${path}`);
  if (typeof value === "number" && Number.isSafeInteger(value)) return Buffer.from(String(value), "latin1");
  if (typeof value !== "string")
    return contentFault("id-unreadable", `${path} is neither a string nor a whole number up to 2^53 - 1`);
  if (value === "") return contentFault("id-unreadable", `${path} is empty`);
  if (!isWellFormed(value))
    return contentFault("id-unreadable", `${path} holds half a surrogate pair, which UTF-8 can't carry`);
  const bytes = Buffer.from(value, "utf8");
  if (bytes.length <= MESSAGE_ID_MAX_BYTES) return bytes;
  return contentFault("id-too-long", `${path} has ${bytes.length} bytes, at most ${MESSAGE_ID_MAX_BYTES}`);
}

/** Event time in whole ms since the epoch. */
export function readEventTime(value: unknown, path: string): number | ContentFault {
  if (value === undefined || value === null)
    return contentFault("event-time-unreadable", `nothing at ${path}`);
  const timeMs = typeof value === "number" ? Math.round(value) : readInstant(value);
  if (timeMs === null)
    return contentFault(
      "event-time-unreadable",
      `${path} is neither ms since the epoch nor an ISO 8601 time with a zone`,
    );
  if (isFileableTime(timeMs)) return timeMs;
  return contentFault("event-time-unreadable", `${path} is outside the years 1 to 9999`);
}

export function isFileableTime(timeMs: number): boolean {
  return timeMs >= EVENT_TIME_MIN_MS && timeMs <= EVENT_TIME_MAX_MS;
}

/** ms since the epoch of an ISO 8601 time with a zone, or null. */
export function readInstant(value: unknown): number | null {
  if (typeof value !== "string" || !isoInstant.test(value)) return null;
  const timeMs = Date.parse(value);
  return Number.isNaN(timeMs) ? null : timeMs;
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
