import assert from "node:assert/strict";
import { test } from "node:test";
import mqtt from "mqtt";
import { publishPacket, RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, topicRule } from "../support/test-broker.ts";

const topic = "fleet/raw/telemetry";
const turn = (delayMs = 30) => new Promise((resolve) => setTimeout(resolve, delayMs));

test("G1: no PUBACK before the message is durable; then PUBACKs in the order of arrival and in one write", async () => {
  await using server = await startBroker();
  const client = await RawMqtt.connected(server.port);
  client.send(...[1, 2, 3, 4].map((messageId) => publishPacket(topic, `m${messageId}`, { messageId })));
  await client.until(() => server.sink.accepted.length === 4);
  await turn();
  assert.deepEqual(client.acknowledgedIds(), []);
  const [first, second, third, fourth] = server.sink.accepted;
  third?.settle();
  second?.settle();
  await turn();
  assert.deepEqual(client.acknowledgedIds(), [], "the first message is not durable yet");
  first?.settle();
  await client.until(() => client.acknowledgedIds().length === 3);
  fourth?.settle();
  await client.until(() => client.acknowledgedIds().length === 4);
  assert.deepEqual(client.acknowledgedIds(), [1, 2, 3, 4]);
  client.end();
});

test("G1: a message that can't be made durable closes the connection without an acknowledgement", async () => {
  await using server = await startBroker();
  const client = await RawMqtt.connected(server.port);
  client.publish(topic, "lost for now");
  await client.until(() => server.sink.accepted.length === 1);
  server.sink.settleAll(new Error("not durable"));
  await client.closed();
  assert.deepEqual(client.acknowledgedIds(), []);
  assert.equal(server.broker.status().refused["not-durable"], 1);
});

test("after such a close, mqtt.js sends the message again and gets its acknowledgement", async () => {
  await using server = await startBroker();
  const client = await mqtt.connectAsync(server.url, { reconnectPeriod: 20, clientId: "js" });
  const published = client.publishAsync("fleet/js/telemetry", "again", { qos: 1 });
  const until = async (count: number) => {
    while (server.sink.accepted.length < count) await turn(5);
  };
  await until(1);
  server.sink.settleAll(new Error("not durable"));
  await until(1);
  assert.equal(server.sink.accepted[0]?.text, "again");
  server.sink.settleAll();
  await published;
  await client.endAsync();
});

test("QoS 2: a message is held until durable and not accepted twice, PUBREL gets PUBCOMP, and a copy in the same segment is no second message", async () => {
  await using server = await startBroker();
  const client = await RawMqtt.connected(server.port);
  const packet = publishPacket(topic, "two", { qos: 2, messageId: 9 });
  client.send(packet, { ...packet, dup: true } as typeof packet);
  await client.until(() => server.sink.accepted.length === 1);
  await turn();
  assert.equal(server.sink.accepted.length, 1);
  assert.equal(client.of("pubrec").length, 0);
  server.sink.settleAll();
  await client.until(() => client.of("pubrec").length === 1);
  client.send({ ...packet, dup: true } as typeof packet);
  await client.until(() => client.of("pubrec").length === 2);
  assert.equal(server.sink.accepted.length, 0);
  client.send({ cmd: "pubrel", messageId: 9 } as never);
  await client.until(() => client.of("pubcomp").length === 1);
  client.send(packet);
  await client.until(() => server.sink.accepted.length === 1);
  client.end();
});

test("QoS 2: a failed message is accepted when the client sends it again, even on a new connection of its session", async () => {
  await using server = await startBroker();
  const packet = publishPacket(topic, "two", { qos: 2, messageId: 5 });
  const first = await RawMqtt.connected(server.port, { clean: false });
  first.send(packet);
  await first.until(() => server.sink.accepted.length === 1);
  server.sink.settleAll(new Error("not durable"));
  await first.closed();
  const second = await RawMqtt.connected(server.port, { clean: false });
  second.send({ ...packet, dup: true } as typeof packet);
  await second.until(() => server.sink.accepted.length === 1);
  server.sink.settleAll();
  await second.until(() => second.of("pubrec").length === 1);
  second.end();
  const third = await RawMqtt.connected(server.port, { clean: false });
  third.send({ ...packet, dup: true } as typeof packet);
  await third.until(() => third.of("pubrec").length === 1);
  assert.equal(server.sink.accepted.length, 0, "the message was stored before: the client gets only PUBREC");
  third.end();
});

test("QoS 2: a message that the old connection of a session left held is accepted again and answered on the new connection", async () => {
  await using server = await startBroker();
  const packet = publishPacket(topic, "two", { qos: 2, messageId: 5 });
  const old = await RawMqtt.connected(server.port, { clean: false });
  old.send(packet);
  await old.until(() => server.sink.accepted.length === 1);
  const fresh = await RawMqtt.connected(server.port, { clean: false });
  await old.closed();
  fresh.send({ ...packet, dup: true } as typeof packet);
  await fresh.until(() => server.sink.accepted.length === 2);
  server.sink.settleAll();
  await fresh.until(() => fresh.of("pubrec").length === 1);
  fresh.end();
});

test("QoS 2: PUBREL before PUBREC, and too many messages without PUBREL, close the connection", async () => {
  await using server = await startBroker({ config: { inFlightMax: 65_535 } });
  const hasty = await RawMqtt.connected(server.port, { clientId: "hasty" });
  hasty.send(publishPacket(topic, "x", { qos: 2, messageId: 1 }), { cmd: "pubrel", messageId: 1 } as never);
  await hasty.closed();
  server.sink.isInstant = true;
  const hoarder = await RawMqtt.connected(server.port, { clientId: "hoarder" });
  const total = 9_000;
  hoarder.send(
    ...Array.from({ length: total }, (_, index) =>
      publishPacket(topic, "", { qos: 2, messageId: index + 1 }),
    ),
  );
  await hoarder.closed();
  assert.deepEqual(server.broker.status().refused, { malformed: 1, unreleased: 1 });
});

test("a flood is held within its bounds, and all messages are eventually acknowledged in order", async () => {
  await using server = await startBroker({ config: { inFlightMax: 100 } });
  const client = await RawMqtt.connected(server.port);
  const total = 20_000;
  client.send(
    ...Array.from({ length: total }, (_, index) =>
      publishPacket(topic, "x".repeat(80), { messageId: index + 1 }),
    ),
  );
  await client.until(() => server.sink.accepted.length >= 100);
  await turn(100);
  // The window, and the rest of the read chunk that exceeded the window.
  assert(server.sink.accepted.length < 100 + 1_500, `${server.sink.accepted.length} held`);
  assert.equal(server.broker.status().pausedConnections, 1);
  while (client.acknowledgedIds().length < total) {
    server.sink.settleAll();
    await turn(1);
  }
  assert.deepEqual(
    client.acknowledgedIds(),
    Array.from({ length: total }, (_, index) => index + 1),
  );
  client.end();
});

test("PINGREQ is answered while messages are held, and the keep alive does not end the connection", async () => {
  await using server = await startBroker();
  const client = await RawMqtt.connected(server.port, { keepalive: 1 });
  for (let messageId = 1; messageId <= 20; messageId++) client.publish(topic, "held", { messageId });
  for (let ping = 1; ping <= 5; ping++) {
    client.send({ cmd: "pingreq" } as never);
    await client.until(() => client.of("pingresp").length === ping);
    await turn(400);
  }
  server.sink.settleAll();
  await client.until(() => client.acknowledgedIds().length === 20);
  client.end();
});

test("a client that publishes needs no PINGREQ to keep its connection", async () => {
  await using server = await startBroker();
  server.sink.isInstant = true;
  const client = await RawMqtt.connected(server.port, { keepalive: 1 });
  for (let messageId = 1; messageId <= 5; messageId++) {
    client.publish(topic, "x", { messageId });
    await client.until(() => client.acknowledgedIds().length === messageId);
    await turn(400);
  }
  assert.equal(client.isClosed, false);
  await client.closed();
});

test("a paused connection, whose PINGREQ can't be answered, is closed after half its keep alive", async () => {
  await using server = await startBroker({ config: { inFlightMax: 1 } });
  const client = await RawMqtt.connected(server.port, { keepalive: 1 });
  client.publish(topic, "held");
  await client.closed();
  assert.deepEqual(client.acknowledgedIds(), []);
  assert.equal(server.broker.status().refused["not-durable"], 1);
});

test("a message that is not durable after the longest hold closes its connection", async () => {
  await using server = await startBroker({ config: { holdMaxMs: 100 } });
  const client = await RawMqtt.connected(server.port, { keepalive: 0 });
  client.publish(topic, "held");
  await client.closed();
  server.sink.settleAll();
  await turn();
  assert.deepEqual(client.acknowledgedIds(), []);
  assert.equal(server.broker.status().refused["not-durable"], 1);
});

test("a step of the wall clock does not make a hold longer", async (context) => {
  const { now } = Date;
  let offMs = 0;
  context.mock.method(Date, "now", () => now() + offMs);
  await using server = await startBroker({ config: { holdMaxMs: 1000 } });
  const client = await RawMqtt.connected(server.port, { keepalive: 0 });
  client.publish(topic, "held");
  await client.until(() => server.sink.accepted.length === 1);
  offMs = -86_400_000;
  await client.closed();
  assert.equal(server.broker.status().refused["not-durable"], 1);
});

test("a full sink pauses reading, and a drained sink resumes it", async () => {
  await using server = await startBroker();
  const client = await RawMqtt.connected(server.port);
  server.sink.isFull = true;
  client.publish(topic, "first", { messageId: 1 });
  await client.until(() => server.sink.accepted.length === 1);
  client.publish(topic, "second", { messageId: 2 });
  await turn(100);
  assert.equal(server.sink.accepted.length, 1);
  server.sink.settleAll();
  await client.until(() => client.acknowledgedIds().length === 1);
  server.sink.drain();
  await client.until(() => server.sink.accepted.length === 1);
  assert.equal(server.sink.accepted[0]?.text, "second");
  client.end();
});

test("packets that Aedes handles while a connection is paused do not stall the connection afterwards", async () => {
  await using server = await startBroker({ config: { inFlightMax: 1 } });
  const client = await RawMqtt.connected(server.port);
  const pings = Array.from({ length: 50 }, () => ({ cmd: "pingreq" }) as never);
  for (let messageId = 1; messageId <= 3; messageId++) {
    client.send(publishPacket(topic, "x", { messageId }), ...pings);
    await client.until(() => server.sink.accepted.length === 1);
    await turn();
    server.sink.settleAll();
    await client.until(() => client.acknowledgedIds().length === messageId);
  }
  client.end();
});

test("a message that becomes durable after its connection ended does no harm; a takeover does not affect the new connection", async () => {
  await using server = await startBroker();
  const old = await RawMqtt.connected(server.port, { clientId: "same" });
  old.publish(topic, "held by the old connection");
  await old.until(() => server.sink.accepted.length === 1);
  const fresh = await RawMqtt.connected(server.port, { clientId: "same" });
  await old.closed();
  server.sink.settleAll();
  fresh.publish(topic, "new", { messageId: 7 });
  await fresh.until(() => server.sink.accepted.length === 1);
  server.sink.settleAll();
  await fresh.until(() => fresh.acknowledgedIds().length === 1);
  assert.deepEqual(fresh.acknowledgedIds(), [7]);
  fresh.end();
});

test("packets after CONNECT in the same segment wait for CONNACK and are held like others", async () => {
  await using server = await startBroker();
  const client = await RawMqtt.open(server.port);
  client.connect();
  client.publish(topic, "early");
  await client.until(() => server.sink.accepted.length === 1);
  await turn();
  assert.deepEqual(client.acknowledgedIds(), []);
  server.sink.settleAll();
  await client.until(() => client.acknowledgedIds().length === 1);
  client.end();
});

test("a will on a telemetry topic is filed like a message; retain flags are cleared and counted", async () => {
  await using server = await startBroker();
  const will = { topic: "fleet/dying/telemetry", payload: Buffer.from("farewell"), qos: 1, retain: true };
  const client = await RawMqtt.connected(server.port, { clientId: "dying", will });
  client.publish("fleet/dying/telemetry", "retained", { retain: true });
  await client.until(() => server.sink.accepted.length === 1);
  client.end();
  await client.until(() => server.sink.accepted.length === 2);
  assert.equal(server.sink.accepted[1]?.text, "farewell");
  assert.equal(server.sink.accepted[1]?.deviceId, "dying");
  const metrics = await server.registry.metrics();
  assert.match(metrics, /tidegate_broker_retain_cleared_total 2/);
  assert.match(metrics, /tidegate_broker_wills_total 1/);
});

test("a will that can't be made durable is counted, because no client sends it again", async () => {
  await using server = await startBroker();
  const will = { topic: "fleet/dying/telemetry", payload: Buffer.from("farewell"), qos: 1, retain: false };
  const client = await RawMqtt.connected(server.port, { clientId: "dying", will });
  client.end();
  await client.until(() => server.sink.accepted.length === 1);
  server.sink.settleAll(new Error("not durable"));
  assert.deepEqual(server.broker.status().refused, { "not-durable": 1 });
});

test("stop waits for held messages, acknowledges them, and closes", async () => {
  const server = await startBroker({ config: { stopTimeoutMs: 5_000 } });
  const client = await RawMqtt.connected(server.port);
  client.publish(topic, "held");
  await client.until(() => server.sink.accepted.length === 1);
  const stopped = server.broker.stop();
  await turn();
  server.sink.settleAll();
  await stopped;
  await client.closed();
  assert.deepEqual(client.acknowledgedIds(), [1]);
});

test("subscribers get telemetry after it is durable, at most with QoS 1; without subscribers nothing is delivered", async () => {
  await using server = await startBroker({ rules: [topicRule()] });
  const subscriber = await mqtt.connectAsync(server.url, { clientId: "dashboard" });
  const received: string[] = [];
  subscriber.on("message", (name, payload) => received.push(`${name} ${payload}`));
  const [granted] = await subscriber.subscribeAsync("fleet/+/telemetry", { qos: 2 });
  assert.equal(granted?.qos, 1);
  const client = await RawMqtt.connected(server.port);
  client.publish(topic, "live");
  await client.until(() => server.sink.accepted.length === 1);
  await turn();
  assert.deepEqual(received, []);
  server.sink.settleAll();
  await client.until(() => received.length === 1);
  assert.deepEqual(received, ["fleet/raw/telemetry live"]);
  await subscriber.unsubscribeAsync("fleet/+/telemetry");
  client.publish(topic, "unheard", { messageId: 2 });
  await client.until(() => server.sink.accepted.length === 1);
  server.sink.settleAll();
  await client.until(() => client.acknowledgedIds().length === 2);
  assert.match(await server.registry.metrics(), /tidegate_broker_forwarded_total 1/);
  client.end();
  await subscriber.endAsync();
});
