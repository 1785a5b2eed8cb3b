import { DeviceError } from "./errors.ts";
import { encodeEnvelope, eventTimeMaxMs } from "./protocol/telemetry-envelope.ts";

/** The message format that a topic expects: see the gateway's topic formats. */
export type MessageFormat =
  | { readonly kind: "envelope" }
  /**
   * The payload's object with two fields added: the id (32 hexadecimal digits) and the event time (ms since
   * the epoch).
   */
  | { readonly kind: "json"; readonly idField: string; readonly timeField: string };

/** Bytes as they are; text as UTF-8; an object as JSON. Format `json` takes objects only. */
export type Payload = Uint8Array | string | Readonly<Record<string, unknown>>;

export interface PublishOptions {
  /** When the value was measured; default: now. */
  readonly eventTime?: Date | number;
  /** Media type of the payload, for format `envelope`; default by the payload's type, "" for bytes. */
  readonly contentType?: string;
}

export interface MessageFacts {
  readonly id: Uint8Array;
  readonly sequence: number;
}

/**
 * Checks everything but the id, so that a bad message is refused before it gets a sequence. Throws
 * MESSAGE_INVALID.
 */
export function prepareMessage(
  format: MessageFormat,
  payload: Payload,
  options: { eventTimeMs: number; contentType: string | undefined },
): (facts: MessageFacts) => Uint8Array {
  const { eventTimeMs } = options;
  if (!Number.isInteger(eventTimeMs) || Math.abs(eventTimeMs) > eventTimeMaxMs)
    throw invalid(`eventTime is ${eventTimeMs}, not a date or whole milliseconds`);
  if (format.kind === "json") return prepareJson(format, payload, eventTimeMs);
  const { bytes, contentType } = encodePayload(payload);
  if (/\p{Surrogate}/u.test(options.contentType ?? ""))
    throw invalid("contentType holds half a surrogate pair, which UTF-8 can't carry");
  return ({ id, sequence }) =>
    encodeEnvelope({
      messageId: id,
      eventTimeMs,
      sequence,
      contentType: options.contentType ?? contentType,
      payload: bytes,
    });
}

function encodePayload(payload: Payload): { bytes: Uint8Array; contentType: string } {
  if (payload instanceof Uint8Array) return { bytes: payload, contentType: "" };
  if (typeof payload === "string") return { bytes: Buffer.from(payload), contentType: "text/plain" };
  return { bytes: Buffer.from(jsonText(payload)), contentType: "application/json" };
}

function prepareJson(
  { idField, timeField }: { idField: string; timeField: string },
  payload: Payload,
  eventTimeMs: number,
): (facts: MessageFacts) => Uint8Array {
  if (!isPlainObject(payload)) throw invalid("format json takes an object, not bytes, text or a list");
  for (const field of [idField, timeField])
    if (Object.hasOwn(payload, field))
      throw invalid(
        `the field ${field} is the SDK's: rename yours, or configure json.idField and json.timeField`,
      );
  const fields = jsonText(payload).slice(1);
  const head = `{${JSON.stringify(timeField)}:${eventTimeMs},${JSON.stringify(idField)}:"`;
  const tail = fields === "}" ? '"}' : `",${fields}`;
  return ({ id }) => Buffer.from(`${head}${Buffer.from(id).toString("hex")}${tail}`);
}

function isPlainObject(payload: unknown): payload is Readonly<Record<string, unknown>> {
  return (
    typeof payload === "object" &&
    payload !== null &&
    !Array.isArray(payload) &&
    !ArrayBuffer.isView(payload) &&
    !(payload instanceof Date)
  );
}

function jsonText(payload: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(payload);
  } catch (error) {
    throw invalid(`the payload can't be written as JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (!text?.startsWith("{")) throw invalid("the payload is not an object");
  return text;
}

function invalid(text: string): DeviceError {
  return new DeviceError("MESSAGE_INVALID", text, { retryable: false });
}
