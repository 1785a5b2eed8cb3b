import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { ProtocolError } from "../../../devices/protocol/protocol-error.ts";
import {
  decodeEnvelope,
  encodeEnvelope,
  eventTimeMaxMs,
  type TelemetryEnvelope,
} from "../../../devices/protocol/telemetry-envelope.ts";

const protoFile = join(import.meta.dirname, "../../../devices/protocol/telemetry-envelope.proto");
const oracle = protobuf
  .parse(readFileSync(protoFile, "utf8"))
  .root.lookupType("tidegate.v1.TelemetryEnvelope");

const sequence = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const envelope: fc.Arbitrary<TelemetryEnvelope> = fc
  .record(
    {
      messageId: fc.uint8Array({ minLength: 1, maxLength: 64 }),
      eventTimeMs: fc.oneof(
        fc.integer({ min: -eventTimeMaxMs, max: eventTimeMaxMs }),
        fc.constantFrom(0, 1, -1, 2 ** 32, -(2 ** 32), eventTimeMaxMs, -eventTimeMaxMs),
      ),
      sequence,
      contentType: fc.string({ unit: "grapheme", maxLength: 200 }),
      payload: fc.uint8Array({ maxLength: 300 }),
    },
    { requiredKeys: ["messageId", "eventTimeMs", "contentType", "payload"] },
  )
  .map((value) => value as TelemetryEnvelope);

function oracleObject(value: TelemetryEnvelope): Record<string, unknown> {
  const { sequence: number, ...rest } = value;
  const long = (text: string, unsigned: boolean) =>
    (protobuf.util.Long as unknown as { fromString(text: string, unsigned: boolean): unknown }).fromString(
      text,
      unsigned,
    );
  return {
    ...rest,
    eventTimeMs: long(String(value.eventTimeMs), false),
    ...(number === undefined ? {} : { sequence: long(String(number), true) }),
  };
}

/** Views of any kind compare by their bytes. */
function plain(value: TelemetryEnvelope): Record<string, unknown> {
  const { sequence: number, ...rest } = value;
  return {
    ...rest,
    messageId: Buffer.from(value.messageId).toString("hex"),
    payload: Buffer.from(value.payload).toString("hex"),
    ...(number === undefined ? {} : { sequence: BigInt(number) }),
  };
}

function isInvalid(pattern: RegExp) {
  return (error: unknown) =>
    error instanceof ProtocolError &&
    error.code === "ENVELOPE_INVALID" &&
    !error.retryable &&
    pattern.test(error.message);
}

const valid: TelemetryEnvelope = {
  messageId: Uint8Array.of(1),
  eventTimeMs: 1,
  contentType: "",
  payload: Uint8Array.of(),
};

test("what it writes, an implementation made from the .proto reads", () => {
  fc.assert(
    fc.property(envelope, (value) => {
      const read = oracle.toObject(oracle.decode(encodeEnvelope(value)), { longs: String, defaults: true });
      assert.deepEqual(Buffer.from(read["messageId"]), Buffer.from(value.messageId));
      assert.equal(read["eventTimeMs"], String(value.eventTimeMs));
      assert.equal(read["sequence"], value.sequence === undefined ? undefined : String(value.sequence));
      assert.equal(read["contentType"], value.contentType);
      assert.deepEqual(Buffer.from(read["payload"]), Buffer.from(value.payload));
    }),
  );
});

test("what an implementation made from the .proto writes, it reads", () => {
  fc.assert(
    fc.property(envelope, fc.boolean(), (value, asBuffer) => {
      const bytes = oracle.encode(oracleObject(value)).finish();
      const decoded = decodeEnvelope(asBuffer ? Buffer.from(bytes) : Uint8Array.from(bytes));
      assert.deepEqual(plain(decoded), plain(value));
    }),
  );
});

test("every field is in the .proto and no other", () => {
  const fields = oracle.fieldsArray.map(({ id, name, type }) => `${id} ${name} ${type}`);
  assert.deepEqual(fields, [
    "1 messageId bytes",
    "2 eventTimeMs int64",
    "3 sequence uint64",
    "4 contentType string",
    "5 payload bytes",
  ]);
});

test("payload and id are views into the message, not copies", () => {
  const bytes = Uint8Array.from(encodeEnvelope({ ...valid, payload: Uint8Array.of(7, 8, 9) }));
  for (const input of [bytes, Buffer.from(bytes.buffer)]) {
    const decoded = decodeEnvelope(input);
    assert.equal(decoded.payload.buffer, bytes.buffer);
    assert.equal(decoded.messageId.buffer, bytes.buffer);
    assert.deepEqual([...decoded.payload], [7, 8, 9]);
  }
});

test("unknown fields are skipped, and the last of repeated fields counts", () => {
  const unknown = protobuf.Writer.create();
  unknown.uint32((9 << 3) | 2).string("from a newer device");
  unknown.uint32((10 << 3) | 5).fixed32(1);
  unknown.uint32((11 << 3) | 1).fixed64(1);
  unknown.uint32((12 << 3) | 0).uint64(2 ** 40);
  unknown.uint32((13 << 3) | 3).uint32((1 << 3) | 0);
  unknown.uint32(5).uint32((13 << 3) | 4);
  const bytes = Buffer.concat([
    encodeEnvelope({ ...valid, contentType: "first" }),
    unknown.finish(),
    encodeEnvelope({ ...valid, contentType: "last" }),
  ]);
  assert.equal(decodeEnvelope(bytes).contentType, "last");
});

test("a sequence above 2^53 arrives whole", () => {
  for (const value of [0n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n])
    assert.equal(decodeEnvelope(encodeEnvelope({ ...valid, sequence: value })).sequence, value);
  assert.equal(decodeEnvelope(encodeEnvelope({ ...valid, sequence: 5 })).sequence, 5n);
});

test("values that the .proto can't carry are not written: ENVELOPE_INVALID", () => {
  const broken: [Partial<TelemetryEnvelope>, RegExp][] = [
    [{ messageId: new Uint8Array(0) }, /message_id is missing/],
    [{ messageId: new Uint8Array(65) }, /message_id has 65 bytes/],
    [{ eventTimeMs: 1.5 }, /event_time_ms/],
    [{ eventTimeMs: Number.NaN }, /event_time_ms/],
    [{ eventTimeMs: eventTimeMaxMs + 1 }, /event_time_ms/],
    [{ sequence: -1n }, /sequence/],
    [{ sequence: 2n ** 64n }, /sequence/],
    [{ sequence: 0.5 }, /sequence/],
    [{ contentType: "\ud800" }, /surrogate/],
  ];
  for (const [part, pattern] of broken)
    assert.throws(() => encodeEnvelope({ ...valid, ...part }), isInvalid(pattern));
});

test("broken envelopes are refused with a reason: ENVELOPE_INVALID", () => {
  const bytes = (...values: number[]) => Uint8Array.from(values);
  const id = [0x0a, 1, 1];
  const broken: [Uint8Array, RegExp][] = [
    [bytes(), /message_id is missing/],
    [bytes(0x0a, 0), /message_id is missing/],
    [bytes(0x0a, 65, ...Array<number>(65).fill(1)), /message_id has 65 bytes/],
    [bytes(0x0a, 2, 1), /out of range/],
    [bytes(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1), /length/],
    [bytes(...id, 0x10), /out of range/],
    [bytes(...id, 0x10, 0x80), /out of range/],
    [bytes(...id, 0x10, ...Array<number>(11).fill(0xff)), /varint/],
    [bytes(...id, 0x10, ...Array<number>(8).fill(0xff), 0x7f), /event_time_ms is/],
    [bytes(...id, 0x11, 0, 0, 0, 0, 0, 0, 0, 0), /event_time_ms has wire type 1, not 0/],
    [bytes(0x08, 1), /message_id has wire type 0, not 2/],
    [bytes(...id, 0x1a, 0), /sequence has wire type/],
    [bytes(...id, 0x20, 0), /content_type has wire type/],
    [bytes(...id, 0x22, 1, 0xff), /./],
    [bytes(...id, 0x28, 0), /payload has wire type/],
    [bytes(...id, 0x00, 0), /field number 0/],
    [bytes(...id, 0x4b), /out of range/],
    [bytes(...id, 0x4c), /wire type/],
    [bytes(...id, 0x2a, 5, 1, 2), /out of range/],
  ];
  for (const [input, pattern] of broken) assert.throws(() => decodeEnvelope(input), isInvalid(pattern));
});

test("random and mutated bytes give an envelope or ENVELOPE_INVALID, nothing else", () => {
  const mutated = fc
    .tuple(envelope, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }), fc.nat())
    .map(([value, changes, cut]) => {
      const bytes = Uint8Array.from(encodeEnvelope(value));
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes;
    });
  const nested = fc.nat({ max: 400 }).map((depth) => new Uint8Array(depth).fill(0x4b));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated, nested), (bytes) => {
      try {
        const decoded = decodeEnvelope(bytes);
        assert.ok(decoded.messageId.length >= 1 && decoded.messageId.length <= 64);
        assert.ok(Math.abs(decoded.eventTimeMs) <= eventTimeMaxMs);
        assert.deepEqual(plain(decodeEnvelope(encodeEnvelope(decoded))), plain(decoded));
      } catch (error) {
        assert.ok(error instanceof ProtocolError && error.code === "ENVELOPE_INVALID", String(error));
      }
    }),
    { numRuns: 3000 },
  );
});
