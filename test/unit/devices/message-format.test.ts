import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DeviceError } from "../../../devices/errors.ts";
import { type MessageFormat, type Payload, prepareMessage } from "../../../devices/message-format.ts";
import { decodeEnvelope } from "../../../devices/protocol/telemetry-envelope.ts";

const id = new Uint8Array(16).fill(0xab);
const facts = { id, sequence: 7 };
const envelope: MessageFormat = { kind: "envelope" };
const json: MessageFormat = { kind: "json", idField: "id", timeField: "ts" };

const build = (format: MessageFormat, payload: Payload, contentType?: string, eventTimeMs = 5) =>
  prepareMessage(format, payload, { eventTimeMs, contentType })(facts);

test("an envelope carries id, sequence, time, and the payload with its type", () => {
  const cases: [Payload, string | undefined, string, string][] = [
    [Buffer.from([1, 2]), undefined, "", "0102"],
    ["grün", undefined, "text/plain", Buffer.from("grün").toString("hex")],
    [{ a: 1 }, undefined, "application/json", Buffer.from('{"a":1}').toString("hex")],
    [Buffer.from([1]), "image/png", "image/png", "01"],
  ];
  for (const [payload, given, contentType, hex] of cases) {
    const decoded = decodeEnvelope(build(envelope, payload, given));
    assert.equal(decoded.contentType, contentType);
    assert.equal(Buffer.from(decoded.payload).toString("hex"), hex);
    assert.deepEqual(Uint8Array.from(decoded.messageId), id);
    assert.equal(decoded.sequence, 7n);
    assert.equal(decoded.eventTimeMs, 5);
  }
});

test("json is the object with id and time added", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
      const { id: _id, ts: _ts, ...payload } = object;
      const written = JSON.parse(Buffer.from(build(json, payload)).toString());
      assert.deepEqual(written, { ...JSON.parse(JSON.stringify(payload)), id: "ab".repeat(16), ts: 5 });
    }),
  );
  const odd: MessageFormat = { kind: "json", idField: 'a"b', timeField: "t\\" };
  assert.deepEqual(JSON.parse(Buffer.from(build(odd, {})).toString()), {
    'a"b': "ab".repeat(16),
    "t\\": 5,
  });
});

test("what can't be sent is refused before it gets an id: MESSAGE_INVALID", () => {
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  const refused: (() => unknown)[] = [
    () => build(json, "text"),
    () => build(json, Buffer.from("{}")),
    () => build(json, [1] as unknown as Payload),
    () => build(json, null as unknown as Payload),
    () => build(json, new Date(0) as unknown as Payload),
    () => build(json, { id: 1 }),
    () => build(json, { ts: 1 }),
    () => build(json, circular),
    () => build(json, { big: 1n }),
    () => build(json, { toJSON: () => 1 }),
    () => build(envelope, circular),
    () => build(envelope, undefined as unknown as Payload),
    () => build(envelope, "x", "\ud800"),
    () => build(envelope, "x", undefined, Number.NaN),
    () => build(envelope, "x", undefined, 1.5),
    () => build(json, {}, undefined, 9e15),
  ];
  for (const attempt of refused)
    assert.throws(
      attempt,
      (error: unknown) => error instanceof DeviceError && error.code === "MESSAGE_INVALID",
      String(attempt),
    );
});
