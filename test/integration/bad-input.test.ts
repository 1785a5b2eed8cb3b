import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { MqttClient } from "mqtt";
import mqttPacket, { type Packet } from "mqtt-packet";
import { badContentsAt } from "../support/bad-contents.ts";
import { statusOf, storedIds, untilFiledAndTrimmed } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import { connectClient, publishDemo } from "../support/mqtt-publisher.ts";
import { publishPacket, RawMqtt } from "../support/raw-mqtt.ts";

const now = Date.now();
const badContents = badContentsAt(now);
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const today = new Date(now).toISOString().slice(0, 10);
/** Messages that close the connection without an acknowledgement, and the name of their counter. */
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

  /** A message of another device, before or after bad input. */
  async function publishGood(): Promise<void> {
    const id = `good${good.length}`;
    await publishDemo(bystander, [{ device: "bystander", id }]);
    good.push(id);
  }

  test("G7: content that can't be filed is acknowledged and stored whole in the quarantine, with its reason", async () => {
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

  test("a bad message and its resend are one row in the quarantine", async () => {
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

  test("event times of 1970 and 2100 are filed under today's date, with a flag, and make no folders of their own", async () => {
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
    test(`${reason}: the connection is closed without an acknowledgement, and the refusal is counted`, async () => {
      const before = (await statusOf(gateway)).broker?.refused[reason] ?? 0;
      const client = await RawMqtt.connected(gateway.mqttPort, { clientId: `refused-${reason}` });
      send(client);
      await client.closed();
      assert.deepEqual(client.acknowledgedIds(), []);
      await publishGood();
      assert.equal((await statusOf(gateway)).broker?.refused[reason], before + 1);
    });

  test("200 MB are refused before CONNECT as well, and an MQTT 5 client gets an answer of its own protocol", async () => {
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

  test("a retain flag on telemetry is cleared: the message is filed, and later subscribers do not get it", async () => {
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

  test("a new QoS 2 message under an identifier that was never released is filed, and only a repeated message is counted as repeated", async () => {
    const before = (await statusOf(gateway)).broker;
    const options = { clientId: "rebooted", clean: false };
    const topic = "fleet/rebooted/telemetry";
    const publish = async (client: RawMqtt, id: string, dup = false) => {
      const count = client.of("pubrec").length;
      client.publish(topic, JSON.stringify({ id, ts: now }), { qos: 2, messageId: 1, dup });
      await client.until(() => client.of("pubrec").length > count);
    };
    const first = await RawMqtt.connected(gateway.mqttPort, options);
    await publish(first, "qos2-a");
    await publish(first, "qos2-a", true);
    first.end();
    const second = await RawMqtt.connected(gateway.mqttPort, options);
    await publish(second, "qos2-b");
    second.send({ cmd: "pubrel", messageId: 1 } as never);
    await second.until(() => second.of("pubcomp").length === 1);
    second.end();
    await untilFiledAndTrimmed(gateway);
    const filed = (await storedIds(gateway)).filter((id) => id.startsWith("qos2-"));
    assert.deepEqual(filed, ["qos2-a", "qos2-b"]);
    const { broker, books } = await statusOf(gateway);
    assert.deepEqual(
      [(broker?.acknowledged ?? 0) - (before?.acknowledged ?? 0), broker?.repeated, books?.unfounded],
      [3, 1, 0],
    );
  });

  test("messages of devices that send CONNECT, PUBLISH and DISCONNECT in one write and close are all filed", async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `sleepy${String(index).padStart(2, "0")}`);
    for (const [index, id] of ids.entries()) {
      const connect = { cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clean: true, keepalive: 60 };
      const packets = [
        { ...connect, clientId: id },
        publishPacket(`fleet/${id}/telemetry`, JSON.stringify({ id, ts: now }), {
          qos: (index % 3) as 0 | 1 | 2,
        }),
        { cmd: "disconnect" },
      ] as Packet[];
      const client = await RawMqtt.open(gateway.mqttPort);
      client.socket.end(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet))));
      await client.closed();
    }
    await gateway.until("all are filed", async () => {
      const filed = (await storedIds(gateway)).filter((id) => id.startsWith("sleepy"));
      return filed.length >= ids.length;
    });
    assert.deepEqual(
      (await storedIds(gateway)).filter((id) => id.startsWith("sleepy")),
      ids,
    );
  });

  test("during all this, messages of the other device were filed, each once, and no process restarted", async () => {
    await publishGood();
    await untilFiledAndTrimmed(gateway);
    assert.equal(bystander.connected, true);
    const filed = (await storedIds(gateway)).filter((id) => id.startsWith("good"));
    assert.deepEqual(filed, [...good].sort());
    const { processes, books, isReady } = await statusOf(gateway);
    assert.deepEqual(
      processes.map(({ restarts }) => restarts),
      [0, 0, 0],
    );
    assert.deepEqual([books?.isBalanced, isReady], [true, true]);
  });
});
