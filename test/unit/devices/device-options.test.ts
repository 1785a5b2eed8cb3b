import assert from "node:assert/strict";
import { test } from "node:test";
import { type DeviceClientOptions, resolveSettings } from "../../../devices/device-options.ts";
import { DeviceError } from "../../../devices/errors.ts";
import { sequenceSpan } from "../../../devices/protocol/message-id.ts";

const minimal: DeviceClientOptions = {
  url: "mqtt://127.0.0.1",
  clientId: "d1",
  outbox: { folder: "outbox" },
};

test("the defaults are those that the options' comments state", () => {
  const settings = resolveSettings(minimal);
  assert.deepEqual(settings.outbox, { folder: "outbox", maxBytes: 67_108_864, whenFull: "reject" });
  assert.deepEqual(settings.format, { kind: "envelope" });
  assert.deepEqual(settings.send, {
    inFlightMax: 128,
    inFlightMaxBytes: 1_048_576,
    maxAheadMessages: 256,
    refusalsMax: 5,
    refusalMaxMs: 5_000,
  });
  assert.deepEqual(settings.reconnect, { baseMs: 1_000, maxMs: 60_000 });
  assert.equal(settings.connection.keepaliveSeconds, 60);
  assert.equal(settings.connection.isSessionPersistent, false);
});

test("no setting lets a message go that is the span or more ahead of the oldest unacknowledged one", () => {
  const { send } = resolveSettings({ ...minimal, maxAheadMessages: sequenceSpan, inFlightMax: 65_535 });
  assert.equal(send.maxAheadMessages, sequenceSpan);
  assert.throws(() => resolveSettings({ ...minimal, maxAheadMessages: sequenceSpan + 1 }), {
    code: "OPTIONS_INVALID",
    message: /maxAheadMessages is 257/,
  });
});

test("a short keep alive shortens what counts as a refusal", () => {
  assert.equal(resolveSettings({ ...minimal, keepaliveSeconds: 8 }).send.refusalMaxMs, 2_000);
  assert.equal(resolveSettings({ ...minimal, keepaliveSeconds: 0 }).send.refusalMaxMs, 5_000);
});

test("all faults are told at once: OPTIONS_INVALID", () => {
  const wrong = {
    url: "http://x",
    clientId: "",
    password: "secret",
    outbox: { folder: "", maxBytes: 1, whenFull: "explode" },
    format: "xml",
    keepaliveSeconds: 70_000,
    connectTimeoutMs: 0,
    ackTimeoutMs: Number.NaN,
    inFlightMax: 0,
    inFlightMaxBytes: 0.5,
    maxAheadMessages: -1,
    reconnect: { baseMs: -1, maxMs: 2 ** 40 },
  } as unknown as DeviceClientOptions;
  const names = Object.keys(wrong).flatMap((name) => {
    if (name === "outbox") return ["outbox.folder", "outbox.maxBytes", "outbox.whenFull"];
    return name === "reconnect" ? ["reconnect.baseMs", "reconnect.maxMs"] : [name];
  });
  assert.throws(
    () => resolveSettings(wrong),
    (error: unknown) => {
      assert.ok(error instanceof DeviceError && error.code === "OPTIONS_INVALID");
      for (const name of names) assert.ok(error.message.includes(name), `${name} in: ${error.message}`);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    },
  );
  const twice = { ...minimal, format: "json" as const, json: { idField: "x", timeField: "x" } };
  assert.throws(() => resolveSettings(twice), { code: "OPTIONS_INVALID" });
});
