import assert from "node:assert/strict";
import { test } from "node:test";
import mqttPacket from "mqtt-packet";
import { publishPacket, RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, topicRule } from "../support/test-broker.ts";

const topic = "fleet/raw/telemetry";

test("a connection without a complete CONNECT is closed in time, and counted", async () => {
  await using server = await startBroker({ config: { connectTimeoutMs: 100 } });
  const silent = await RawMqtt.open(server.port);
  const dripping = await RawMqtt.open(server.port);
  dripping.write(Buffer.from([0x10, 12, 0, 4]));
  await silent.closed();
  await dripping.closed();
  assert.equal(server.broker.status().refused["connect-timeout"], 2);
});

test("connections that arrive faster than allowed are closed, and existing connections continue", async () => {
  await using server = await startBroker({ config: { acceptPerSecond: 3 } });
  server.sink.isInstant = true;
  const welcome = await RawMqtt.connected(server.port);
  const storm = await Promise.all(Array.from({ length: 10 }, () => RawMqtt.open(server.port)));
  const isEnded = () => storm.filter((client) => client.isClosed).length;
  await welcome.until(() => isEnded() >= 7);
  assert((server.broker.status().refused["connection-limit"] ?? 0) >= 7);
  welcome.publish(topic, "x");
  await welcome.until(() => welcome.acknowledgedIds().length === 1);
  for (const client of [welcome, ...storm]) client.end();
});

test("checks of secrets are bounded in number and in waiting; further clients are refused as busy", async () => {
  await using server = await startBroker({
    config: { authenticationsMax: 2, authenticationsWaitingMax: 1 },
    identities: [{ name: "gw", role: "edge", topicPrefixes: [] }],
  });
  server.devices.delayMs = 100;
  const clients = await Promise.all(Array.from({ length: 6 }, () => RawMqtt.open(server.port)));
  for (const [index, client] of clients.entries())
    client.connect({ clientId: `gw/${index}`, username: "gw", password: Buffer.from("gw") });
  const codes = () =>
    clients.flatMap((client) =>
      client.of("connack").map((packet) => "returnCode" in packet && packet.returnCode),
    );
  await clients[0]?.until(() => codes().length === clients.length);
  assert.deepEqual(codes().toSorted(), [0, 0, 0, 3, 3, 3]);
  assert.equal(server.broker.status().refused["authentication-busy"], 3);
  for (const client of clients) client.end();
});

test("packets after CONNECT wait in order while a secret is checked, and only a bounded part of them is read", async () => {
  await using server = await startBroker({
    identities: [{ name: "raw", role: "device", topicPrefixes: [] }],
    rules: [topicRule({ maxPayloadBytes: 65_536 })],
  });
  server.sink.isInstant = true;
  server.devices.delayMs = 500;
  const count = 500;
  const filling = "x".repeat(65_000);
  const client = await RawMqtt.open(server.port);
  client.connect({ clientId: "raw", username: "raw", password: Buffer.from("raw") });
  // The operating system buffers some of the data at both ends of the connection.
  let sent = 0;
  for (let index = 0; index < count; index++) {
    const packet = publishPacket(topic, `${index} ${filling}`, { messageId: index + 1 });
    client.socket.write(mqttPacket.generate(packet), () => sent++);
  }
  await client.until(() => client.of("connack").length === 1);
  assert(sent < count / 2, `${sent} of ${count} had left the client`);
  await client.until(() => server.sink.accepted.length === count);
  assert.deepEqual(
    server.sink.accepted.map(({ text }) => Number.parseInt(text, 10)),
    Array.from({ length: count }, (_, index) => index),
  );
  client.end();
});

test("a client id of MQTT 3.1 may be as long as one of 3.1.1", async () => {
  await using server = await startBroker();
  const options = { protocolId: "MQIsdp", protocolVersion: 3, clientId: "x".repeat(256) };
  const client = await RawMqtt.connected(server.port, options);
  assert.equal((client.of("connack")[0] as { returnCode?: number }).returnCode, 0);
  client.end();
});

test("when the stream fails, connections are closed at a bounded pace, none with an acknowledgement", async () => {
  await using server = await startBroker({ config: { closesPerSecond: 40 } });
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, index) => RawMqtt.connected(server.port, { clientId: `c${index}` })),
  );
  for (const client of clients) client.publish(topic, "held");
  const [first] = clients;
  await first?.until(() => server.sink.accepted.length === clients.length);
  server.sink.settleAll(new Error("not durable"));
  const closed = () => clients.filter(({ isClosed }) => isClosed).length;
  await first?.until(() => closed() > 0);
  assert(closed() < clients.length, "the connections were closed all at once");
  await first?.until(() => closed() === clients.length);
  assert.deepEqual(
    clients.flatMap((client) => client.acknowledgedIds()),
    [],
  );
  assert.equal(server.broker.status().refused["not-durable"], clients.length);
});

test("while the sink is full, CONNECT is answered with code 3 and counted; connected clients continue", async () => {
  const admission = { isOpen: true };
  await using server = await startBroker({ admission });
  const codes = (client: RawMqtt) =>
    client.of("connack").map((packet) => "returnCode" in packet && packet.returnCode);
  const connect = async (clientId: string): Promise<RawMqtt> => {
    const client = await RawMqtt.open(server.port);
    client.connect({ clientId });
    await client.until(() => codes(client).length > 0);
    return client;
  };
  const early = await connect("early");
  admission.isOpen = false;
  assert.equal(server.broker.status().isOpen, false);
  const late = await connect("late");
  await late.closed();
  assert.deepEqual(codes(late), [3]);
  assert.equal(server.broker.status().refused["no-room"], 1);
  assert.equal(early.isClosed, false);
  admission.isOpen = true;
  const again = await connect("late");
  assert.deepEqual([codes(early), codes(again)], [[0], [0]]);
  for (const client of [early, again]) client.end();
});
