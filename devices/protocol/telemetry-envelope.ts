// The codec of telemetry-envelope.proto, written by hand on protobufjs's wire reader and writer: no reflection on the hot path.
import protobuf, { type Reader as WireReader, type Writer as WireWriter } from "protobufjs/minimal.js";
import { MESSAGE_ID_MAX_BYTES } from "./message-id.ts";
import { ProtocolError } from "./protocol-error.ts";

const { Reader, Writer } = protobuf;

/** Largest magnitude of an event time, ms: the range of an ECMAScript time value (ECMA-262 §21.4.1.1). */
export const EVENT_TIME_MAX_MS = 8.64e15;

export interface TelemetryEnvelope {
  /** Opaque, 1 to 64 bytes. */
  readonly messageId: Uint8Array;
  /** Whole ms since the Unix epoch, by the device's clock. */
  readonly eventTimeMs: number;
  /** Unsigned 64-bit. Decoding always gives a bigint. */
  readonly sequence?: bigint | number;
  /** Media type of the payload; "" = unknown. */
  readonly contentType: string;
  readonly payload: Uint8Array;
}

const varint = 0;
const lengthDelimited = 2;

/** Throws ENVELOPE_INVALID where a value is outside what the .proto allows. */
export function encodeEnvelope(envelope: TelemetryEnvelope): Uint8Array {
  checkFields(envelope.messageId, envelope.eventTimeMs);
  const writer = Writer.create();
  writer.uint32((1 << 3) | lengthDelimited).bytes(envelope.messageId);
  if (envelope.eventTimeMs !== 0) writer.uint32((2 << 3) | varint).int64(envelope.eventTimeMs);
  if (envelope.sequence !== undefined) {
    writer.uint32((3 << 3) | varint);
    writeSequence(writer, envelope.sequence);
  }
  if (envelope.contentType !== "")
    writer.uint32((4 << 3) | lengthDelimited).string(checkedContentType(envelope.contentType));
  if (envelope.payload.length > 0) writer.uint32((5 << 3) | lengthDelimited).bytes(envelope.payload);
  return writer.finish();
}

/**
 * Reads one envelope. `messageId` and `payload` are views into `bytes`: copy what must outlive them.
 * Unknown fields are skipped and the last of repeated fields counts, as protobuf demands. Throws ENVELOPE_INVALID, and nothing else,
 * for truncated or malformed bytes, a known field of the wrong wire type, a content type that is not UTF-8,
 * an id that is missing or too long, and an event time outside ±EVENT_TIME_MAX_MS.
 */
export function decodeEnvelope(bytes: Uint8Array): TelemetryEnvelope {
  try {
    return readEnvelope(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw invalidEnvelope(error instanceof Error ? error.message : String(error), {}, error);
  }
}

const noBytes = new Uint8Array(0);

function readEnvelope(bytes: Uint8Array): TelemetryEnvelope {
  const reader = Reader.create(bytes);
  let messageId: Uint8Array = noBytes;
  let eventTimeMs = 0;
  let sequence: bigint | undefined;
  let contentType = "";
  let payload: Uint8Array = noBytes;
  while (reader.pos < reader.len) {
    const tag = reader.tag();
    const wireType = tag & 7;
    switch (tag >>> 3) {
      case 1:
        expectWireType("message_id", wireType, lengthDelimited);
        messageId = reader.bytes();
        break;
      case 2:
        expectWireType("event_time_ms", wireType, varint);
        eventTimeMs = readEventTime(reader);
        break;
      case 3:
        expectWireType("sequence", wireType, varint);
        sequence = readSequence(reader);
        break;
      case 4:
        expectWireType("content_type", wireType, lengthDelimited);
        contentType = reader.stringVerify();
        break;
      case 5:
        expectWireType("payload", wireType, lengthDelimited);
        payload = reader.bytes();
        break;
      default:
        reader.skipType(wireType, 0, tag >>> 3);
    }
  }
  checkFields(messageId, eventTimeMs);
  return sequence === undefined
    ? { messageId, eventTimeMs, contentType, payload }
    : { messageId, eventTimeMs, sequence, contentType, payload };
}

/** Exact within ±2^53; what is beyond stays beyond EVENT_TIME_MAX_MS. */
function readEventTime(reader: WireReader): number {
  const long = reader.int64();
  return long.high * 2 ** 32 + (long.low >>> 0);
}

function readSequence(reader: WireReader): bigint {
  const long = reader.uint64();
  return (BigInt(long.high >>> 0) << 32n) | BigInt(long.low >>> 0);
}

/** protobufjs writes a bigint as 0 without a word, so it is handed over in halves. */
function writeSequence(writer: WireWriter, sequence: bigint | number): void {
  const isNumber = typeof sequence === "number";
  if (isNumber ? !Number.isSafeInteger(sequence) || sequence < 0 : sequence !== BigInt.asUintN(64, sequence))
    throw invalidEnvelope(`sequence is ${sequence}, not a whole number from 0 to 2^64 - 1`);
  if (isNumber) writer.uint64(sequence);
  else writer.uint64(new protobuf.util.Long(Number(sequence & 0xffffffffn), Number(sequence >> 32n), true));
}

function checkedContentType(contentType: string): string {
  if (/\p{Surrogate}/u.test(contentType))
    throw invalidEnvelope("content_type holds half a surrogate pair, which UTF-8 can't carry");
  return contentType;
}

function expectWireType(field: string, actual: number, expected: number): void {
  if (actual !== expected) throw invalidEnvelope(`${field} has wire type ${actual}, not ${expected}`);
}

/** What does not fit is named in the error's details: `fault`, and `messageId` where that can be read. */
function checkFields(messageId: Uint8Array, eventTimeMs: number): void {
  if (messageId.length === 0) throw invalidEnvelope("message_id is missing", { fault: "id-missing" });
  if (messageId.length > MESSAGE_ID_MAX_BYTES)
    throw invalidEnvelope(
      `message_id has ${messageId.length} bytes, at most ${MESSAGE_ID_MAX_BYTES} are allowed`,
      { fault: "id-too-long" },
    );
  if (!Number.isInteger(eventTimeMs) || Math.abs(eventTimeMs) > EVENT_TIME_MAX_MS)
    throw invalidEnvelope(
      `event_time_ms is ${eventTimeMs}, not a whole number within ±${EVENT_TIME_MAX_MS}`,
      { fault: "event-time-unreadable", messageId },
    );
}

/** What is wrong with an envelope that parses. */
interface FieldFault {
  readonly fault: "id-missing" | "id-too-long" | "event-time-unreadable";
  readonly messageId?: Uint8Array;
}

/** The fault of an envelope that parses but can't be used; null where the error says that it does not parse. */
export function fieldFaultOf(error: ProtocolError): FieldFault | null {
  return "fault" in error.details ? (error.details as unknown as FieldFault) : null;
}

function invalidEnvelope(
  text: string,
  details: FieldFault | Record<string, never> = {},
  cause?: unknown,
): ProtocolError {
  return new ProtocolError("ENVELOPE_INVALID", text, { retryable: false, cause, details: { ...details } });
}
