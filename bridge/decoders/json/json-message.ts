import { messageIdMaxBytes } from "../../../devices/protocol/message-id.ts";
import { type JsonDocument, valueAt } from "../document/json-document.ts";
import { microsecondsOfMs, wholeNumberOf } from "../document/json-numbers.ts";
import type { JsonPath } from "../document/json-path.ts";
import { type Instant, instantOf, isInstantMs, readInstant } from "../instant.ts";
import { type ContentFault, contentFault } from "../quarantine-reason.ts";

/** Message id of a json topic, in UTF-8: a string, or the decimal digits of a whole number. */
export function readMessageId(document: JsonDocument, path: JsonPath): Uint8Array | ContentFault {
  const value = valueAt(document.value, path.names);
  if (value === undefined || value === null) return contentFault("id-missing", `nothing at ${path.text}`);
  const text = typeof value === "number" ? wholeNumberText(document, path, value) : value;
  if (typeof text !== "string")
    return contentFault("id-unreadable", `${path.text} is neither a string nor a whole number`);
  if (text === "") return contentFault("id-unreadable", `${path.text} is empty`);
  if (!text.isWellFormed())
    return contentFault("id-unreadable", `${path.text} holds half a surrogate pair, which UTF-8 can't carry`);
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length <= messageIdMaxBytes) return bytes;
  return contentFault("id-too-long", `${path.text} has ${bytes.length} bytes, at most ${messageIdMaxBytes}`);
}

/**
 * The text of a whole number; null if it is not whole. Up to 2^53 − 1 the shortest text, so that 1e3 and
 * 1000 are one id; beyond that, the text as sent.
 */
function wholeNumberText(document: JsonDocument, { names }: JsonPath, value: number): string | null {
  const isSafe = Number.isSafeInteger(value);
  if (isSafe && !document.hasLongNumbers) return String(value);
  if (Number.isFinite(value) && !Number.isInteger(value)) return null;
  const text = document.numberText(names);
  if (wholeNumberOf(text) === null) return null;
  return isSafe ? String(value) : text;
}

/** Event time of a json topic. */
export function readEventTime(document: JsonDocument, path: JsonPath): Instant | ContentFault {
  const value = valueAt(document.value, path.names);
  if (value === undefined || value === null)
    return contentFault("event-time-unreadable", `nothing at ${path.text}`);
  if (typeof value !== "number") {
    const instant = typeof value === "string" ? readInstant(value) : null;
    if (instant !== null) return instant;
    return contentFault(
      "event-time-unreadable",
      `${path.text} is neither ms since the epoch nor an RFC 3339 time of the years 1 to 9999`,
    );
  }
  const instant = instantOfMs(document, path, value);
  return instant ?? contentFault("event-time-unreadable", `${path.text} is outside the years 1 to 9999`);
}

function instantOfMs(document: JsonDocument, { names }: JsonPath, value: number): Instant | null {
  if (Number.isInteger(value) && !document.hasLongNumbers)
    return isInstantMs(value) ? { ms: value + 0, micros: 0 } : null;
  const micros = microsecondsOfMs(document.numberText(names));
  return micros === null ? null : instantOf(micros);
}
