import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { MqttClient } from "mqtt";
import { encodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import { statusOf, storedIds, untilFiledAndTrimmed } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import { connectClient, publishDemo } from "../support/mqtt-publisher.ts";
import { RawMqtt } from "../support/raw-mqtt.ts";

const now = Date.now();
const today = new Date(now).toISOString().slice(0, 10);
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const envelope = encodeEnvelope({
  messageId: Buffer.from("e1"),
  eventTimeMs: now,
  contentType: "application/json",
  payload: json({ temperature: 1 }),
});

interface BadContent {
  readonly what: string;
  readonly payload: Uint8Array;
  readonly reason: string;
  /** What the row says to a person. */
  readonly detail: RegExp;
  readonly format?: "telemetry" | "envelope";
}

/** What is acknowledged, since only the consumer looks into payloads, and then found in `_quarantine`. */
const badContents: readonly BadContent[] = [
  {
    what: "JSON cut short",
    payload: Buffer.from('{"id":"1","ts":'),
    reason: "payload-undecodable",
    detail: /not JSON/,
  },
  { what: "nothing", payload: Buffer.alloc(0), reason: "payload-undecodable", detail: /not JSON/ },
  {
    what: "JSON that is not UTF-8",
    payload: Buffer.concat([Buffer.from('{"id":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
    reason: "payload-undecodable",
    detail: /not UTF-8/,
  },
  {
    what: "100,000 brackets",
    payload: Buffer.alloc(100_000, "["),
    reason: "payload-undecodable",
    detail: /not JSON/,
  },
  { what: "a list", payload: json([1, 2]), reason: "id-missing", detail: /nothing at id/ },
  { what: "no id", payload: json({ ts: now }), reason: "id-missing", detail: /nothing at id/ },
  {
    what: "an id from a prototype",
    payload: Buffer.from(`{"__proto__":{"id":"x"},"ts":${now}}`),
    reason: "id-missing",
    detail: /nothing at id/,
  },
  {
    what: "an id of 65 bytes",
    payload: json({ id: "é".repeat(32).concat("x"), ts: now }),
    reason: "id-too-long",
    detail: /id has 65 bytes, at most 64/,
  },
  { what: "an empty id", payload: json({ id: "", ts: now }), reason: "id-unreadable", detail: /empty/ },
  {
    what: "a number that JavaScript can't hold as id",
    payload: Buffer.from(`{"id":9007199254740993,"ts":${now}}`),
    reason: "id-unreadable",
    detail: /neither a string nor a whole number/,
  },
  { what: "no time", payload: json({ id: "1" }), reason: "event-time-unreadable", detail: /nothing at ts/ },
  {
    what: "a time without a zone",
    payload: json({ id: "1", ts: "2026-11-22T12:00:00" }),
    reason: "event-time-unreadable",
    detail: /zone/,
  },
  {
    what: "a time beyond the year 9999",
    payload: json({ id: "1", ts: 1e300 }),
    reason: "event-time-unreadable",
    detail: /years 1 to 9999/,
  },
  {
    what: "a value of another type than the topic's schema says",
    payload: json({ id: "1", ts: now, temperature: "hot" }),
    reason: "schema-violated",
    detail: /temperature/,
  },
  {
    what: "protobuf cut short",
    payload: envelope.subarray(0, -3),
    format: "envelope",
    reason: "payload-undecodable",
    detail: /./,
  },
  {
    what: "JSON where protobuf belongs",
    payload: json({ id: "1", ts: now }),
    format: "envelope",
    reason: "payload-undecodable",
    detail: /./,
  },
  {
    what: "an envelope without an id",
    payload: Buffer.from([0x10, 1, 0x2a, 1, 7]),
    format: "envelope",
    reason: "id-missing",
    detail: /message_id is missing/,
  },
  {
    what: "an envelope whose id has 65 bytes",
    payload: Buffer.concat([Buffer.from([0x0a, 65]), Buffer.alloc(65, "i"), Buffer.from([0x10, 1])]),
    format: "envelope",
    reason: "id-too-long",
    detail: /message_id has 65 bytes, at most 64/,
  },
];

/** What closes the connection without an acknowledgement, and is counted under this name. */
const refusals: readonly { readonly reason: string; readonly send: (client: RawMqtt) => void }[] = [
  { reason: "unknown-topic", send: (client) => client.publish("fleet/x/unknown", "{}") },
  {
    reason: "payload-too-large",
    send: (client) => client.publish("fleet/x/telemetry", "x".repeat(131_073)),
  },
  {
    reason: "packet-too-large",
    // [MQTT-2.2.3] PUBLISH, QoS 1, 200 MB to come.
    send: (client) => client.write(Buffer.from([0x32, 0x80, 0x84, 0xaf, 0x5f, 0, 4, 0x61])),
  },
  { reason: "topic-name-invalid", send: (client) => client.publish("fleet/#/telemetry", "{}") },
  {
    reason: "malformed",
    send: (client) =>
      client.send({
        cmd: "subscribe",
        messageId: 1,
        subscriptions: [{ topic: "fleet/#/x", qos: 1 }],
      } as never),
  },
];

describe("bad input in a running gateway", { concurrency: false }, () => {
  let gateway: GatewayProcess;
  let bystander: MqttClient;
  const good: string[] = [];
  before(async () => {
    gateway = await GatewayProcess.start({ environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" } });
    bystander = await connectClient(gateway.mqttUrl, { clientId: "bystander" });
    bystander.setMaxListeners(0);
  });
  after(async () => {
    await bystander.endAsync();
    await gateway.destroy();
  });

  /** Another device's message, before or after something bad. */
  async function publishGood(): Promise<void> {
    const id = `good${good.length}`;
    await publishDemo(bystander, [{ device: "bystander", id }]);
    good.push(id);
  }

  test("G7: content that can't be filed is acknowledged and in quarantine with its reason, whole", async () => {
    const client = await connectClient(gateway.mqttUrl);
    for (const [index, { payload, format = "telemetry" }] of badContents.entries()) {
      await client.publishAsync(`fleet/bad${index}/${format}`, Buffer.from(payload), { qos: 1 });
      await publishGood();
    }
    await client.endAsync();
    await untilFiledAndTrimmed(gateway);
    const rows = await gateway.query(
      "SELECT device_id, reason, detail, to_base64(payload) AS payload FROM _quarantine",
    );
    assert.equal(rows.length, badContents.length);
    for (const [index, { what, payload, reason, detail }] of badContents.entries()) {
      const row = rows.find(({ device_id }) => device_id === `bad${index}`);
      assert.equal(row?.["reason"], reason, what);
      assert.match(String(row?.["detail"]), detail, what);
      assert.equal(row?.["payload"], Buffer.from(payload).toString("base64"), what);
    }
    const { books } = await statusOf(gateway);
    assert.deepEqual([books?.quarantined, books?.isBalanced], [badContents.length, true]);
    const listed = await gateway.cli("quarantine", "list", "--reason", "id-too-long");
    const { rows: shown } = listed.json as { rows: { detail: string }[] };
    assert.deepEqual(shown.map(({ detail }) => detail).sort(), [
      "id has 65 bytes, at most 64",
      "message_id has 65 bytes, at most 64 are allowed",
    ]);
  });

  test("a bad message that is sent again is one row of the quarantine", async () => {
    const before = (await statusOf(gateway)).books;
    const client = await connectClient(gateway.mqttUrl);
    for (let copy = 0; copy < 2; copy++)
      await client.publishAsync("fleet/again/telemetry", '{"id":"again","ts":"soon"}', { qos: 1 });
    await client.endAsync();
    await untilFiledAndTrimmed(gateway);
    const { books } = await statusOf(gateway);
    assert.equal(books?.quarantined, (before?.quarantined ?? 0) + 1);
    assert.equal(books?.duplicates, (before?.duplicates ?? 0) + 1);
  });

  test("event times of 1970 and 2100 are filed today, with a flag, and make no folders of their own", async () => {
    const client = await connectClient(gateway.mqttUrl, { clientId: "clock" });
    const times = ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", new Date(now).toISOString()];
    for (const ts of times)
      await client.publishAsync("fleet/clock/telemetry", json({ id: ts, ts }), { qos: 1 });
    await client.endAsync();
    await untilFiledAndTrimmed(gateway);
    const rows = await gateway.query(
      "SELECT event_time, event_time_outside, event_date::VARCHAR AS date FROM telemetry WHERE device_id = 'clock' ORDER BY event_time",
    );
    assert.deepEqual(
      rows.map((row) => [
        new Date(String(row["event_time"])).toISOString().slice(0, 4),
        row["event_time_outside"],
        String(row["date"]) >= today,
      ]),
      [
        ["1970", true, true],
        [today.slice(0, 4), false, true],
        ["2100", true, true],
      ],
    );
    const folders = readdirSync(join(gateway.dataFolder, "lake", "telemetry"));
    assert.ok(!folders.some((name) => /=(1970|2100)/.test(name)), folders.join());
  });

  for (const { reason, send } of refusals)
    test(`${reason}: that connection is closed unacknowledged, and counted`, async () => {
      const before = (await statusOf(gateway)).broker?.refused[reason] ?? 0;
      const client = await RawMqtt.connected(gateway.mqttPort, { clientId: `refused-${reason}` });
      send(client);
      await client.closed();
      assert.deepEqual(client.acknowledgedIds(), []);
      await publishGood();
      assert.equal((await statusOf(gateway)).broker?.refused[reason], before + 1);
    });

  test("200 MB are refused before CONNECT as well, and MQTT 5 gets an answer that it understands", async () => {
    const stranger = await RawMqtt.open(gateway.mqttPort);
    stranger.write(Buffer.from([0x10, 0x80, 0x84, 0xaf, 0x5f, 0, 4, 0x4d]));
    await stranger.closed();
    const newer = await RawMqtt.open(gateway.mqttPort);
    const answer: Buffer[] = [];
    newer.socket.on("data", (data) => answer.push(data));
    newer.connect({ protocolVersion: 5 });
    await newer.closed();
    // CONNACK of MQTT 5: no session, reason 0x84 (unsupported protocol version), no properties.
    assert.deepEqual(Buffer.concat(answer), Buffer.from([0x20, 3, 0, 0x84, 0]));
    const refused = (await statusOf(gateway)).broker?.refused;
    assert.deepEqual([refused?.["packet-too-large"], refused?.["protocol-version"]], [2, 1]);
  });

  test("a retain flag on telemetry is cleared: the message is filed, no later subscriber gets it", async () => {
    const client = await connectClient(gateway.mqttUrl);
    const payload = JSON.stringify({ id: "retained", ts: now });
    await client.publishAsync("fleet/keeper/telemetry", payload, { qos: 1, retain: true });
    const received: string[] = [];
    client.on("message", (topic, _payload, packet) => received.push(`${topic} ${packet.retain}`));
    await client.subscribeAsync("fleet/keeper/#", { qos: 1 });
    await client.publishAsync("fleet/keeper/telemetry", JSON.stringify({ id: "live", ts: now }), { qos: 1 });
    await gateway.until("the live one is delivered", () => received.length > 0);
    assert.deepEqual(received, ["fleet/keeper/telemetry false"]);
    await client.endAsync();
    assert.match(await gateway.metrics(), /^tidegate_broker_retain_cleared_total\{process="broker"\} 1$/m);
    await untilFiledAndTrimmed(gateway);
    const filed = (await storedIds(gateway)).filter((id) => /^(retained|live)$/.test(id));
    assert.deepEqual(filed, ["live", "retained"]);
  });

  test("all the while the other device's messages were filed, each once, and nothing restarted", async () => {
    await publishGood();
    await untilFiledAndTrimmed(gateway);
    assert.equal(bystander.connected, true);
    const filed = (await storedIds(gateway)).filter((id) => id.startsWith("good"));
    assert.deepEqual(filed, [...good].sort());
    const { processes, books, isReady } = await statusOf(gateway);
    assert.deepEqual(
      processes.map(({ restarts }) => restarts),
      [0, 0],
    );
    assert.deepEqual([books?.isBalanced, isReady], [true, true]);
  });
});
