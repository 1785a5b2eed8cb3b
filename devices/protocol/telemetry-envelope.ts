// The codec of telemetry-envelope.proto, on protobufjs's wire reader and writer. Written by hand: no
// reflection on the hot path.
import protobuf, { type Reader as WireReader, type Writer as WireWriter } from "protobufjs/minimal.js";
import { messageIdMaxBytes } from "./message-id.ts";
import { ProtocolError } from "./protocol-error.ts";

const { Reader, Writer } = protobuf;

/** Largest magnitude of an event time, ms: the range of an ECMAScript time value (ECMA-262 §21.4.1.1). */
export const eventTimeMaxMs = 8.64e15;

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

/** Throws ENVELOPE_INVALID if a value is outside the range that the .proto allows. */
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
 * Reads one envelope. `messageId` and `payload` are views into `bytes`: copy them to keep them. As protobuf
 * demands, unknown fields are skipped and the last of repeated fields counts.
 *
 * Throws only ENVELOPE_INVALID: for truncated or malformed bytes, a wrong wire type of a known field, or a
 * content type that is not UTF-8. Also for an id that is missing or too long, and for an event time outside
 * ±eventTimeMaxMs.
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

/** Exact within ±2^53; a larger number stays beyond eventTimeMaxMs. */
function readEventTime(reader: WireReader): number {
  const long = reader.int64();
  return long.high * 2 ** 32 + (long.low >>> 0);
}

function readSequence(reader: WireReader): bigint {
  const long = reader.uint64();
  return (BigInt(long.high >>> 0) << 32n) | BigInt(long.low >>> 0);
}

/** protobufjs silently writes a bigint as 0, so the value is passed as two halves. */
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

/** The error's details name the fault: `fault`, and `messageId` if the id can be read. */
function checkFields(messageId: Uint8Array, eventTimeMs: number): void {
  if (messageId.length === 0) throw invalidEnvelope("message_id is missing", { fault: "id-missing" });
  if (messageId.length > messageIdMaxBytes)
    throw invalidEnvelope(
      `message_id has ${messageId.length} bytes, at most ${messageIdMaxBytes} are allowed`,
      { fault: "id-too-long" },
    );
  if (!Number.isInteger(eventTimeMs) || Math.abs(eventTimeMs) > eventTimeMaxMs)
    throw invalidEnvelope(`event_time_ms is ${eventTimeMs}, not a whole number within ±${eventTimeMaxMs}`, {
      fault: "event-time-unreadable",
      messageId,
    });
}

/** The fault of an envelope that parses. */
interface FieldFault {
  readonly fault: "id-missing" | "id-too-long" | "event-time-unreadable";
  readonly messageId?: Uint8Array;
}

/** The fault of an envelope that parses but cannot be used; null if the envelope does not parse. */
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
