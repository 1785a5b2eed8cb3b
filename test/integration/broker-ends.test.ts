import assert from "node:assert/strict";
import { test } from "node:test";
import mqttPacket, { type Packet } from "mqtt-packet";
import { publishPacket, RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, type TestBroker, topicRule } from "../support/test-broker.ts";
import { until } from "../support/until.ts";

// Messages that a client sent before its connection ended are accepted, even if no client is left to get the
// acknowledgement: a device that sleeps most of the time sends all that it has in one write and disconnects.

const topic = "fleet/raw/telemetry";
const device = { name: "raw", role: "device", topicPrefixes: [] } as const;
const rounds = 20;

type Ending = "close" | "half-close" | "reset";

interface Connect {
  readonly password?: string;
  readonly will?: object;
}

function connectPacket({ password, will }: Connect = {}): Packet {
  return {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    clientId: "raw",
    keepalive: 60,
    ...(password !== undefined && { username: "raw", password: Buffer.from(password) }),
    ...(will && { will }),
  } as Packet;
}

const disconnect = { cmd: "disconnect" } as Packet;

/** Sends all packets in one write, and ends the connection without waiting for anything. */
async function burst(server: TestBroker, packets: readonly Packet[], ending: Ending): Promise<RawMqtt> {
  const client = await RawMqtt.open(server.port);
  const bytes = Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)));
  if (ending === "close") client.socket.end(bytes, () => client.socket.destroy());
  else if (ending === "half-close") client.socket.end(bytes);
  else client.socket.write(bytes, () => client.socket.resetAndDestroy());
  return client;
}

const texts = ({ sink }: TestBroker): string[] => sink.accepted.map(({ text }) => text);

/**
 * Lets the broker read the sent bytes. The path of a message may depend on this time, but never whether the
 * message is accepted.
 */
const turn = () => new Promise((resolve) => setTimeout(resolve, 20));

for (const delayMs of [0, 30])
  for (const ending of ["close", "half-close", "reset"] as const)
    for (const qos of [0, 1, 2] as const)
      test(`CONNECT, PUBLISH and DISCONNECT in one write, then ${ending}: QoS ${qos}, ${delayMs} ms to check the secret`, async () => {
        await using server = await startBroker({ identities: [device] });
        server.sink.isInstant = true;
        server.devices.delayMs = delayMs;
        const connect = connectPacket(delayMs > 0 ? { password: "raw" } : {});
        for (let round = 0; round < rounds; round++) {
          await burst(server, [connect, publishPacket(topic, `m${round}`, { qos }), disconnect], ending);
          await until("the message is accepted", () => texts(server).length === round + 1);
        }
        assert.deepEqual(
          texts(server),
          Array.from({ length: rounds }, (_, round) => `m${round}`),
        );
        await until("the connection is gone", () => server.broker.status().connections === 0);
        assert.deepEqual([server.broker.status().refused, server.broker.status().untaken], [{}, 0]);
      });

const endings = ["close", "half-close", "reset"] as const;
const delays = [0, 30];

/** One server for each delay of its check of secrets, and every ending on it. */
async function eachEnding(
  check: (parts: {
    server: TestBroker;
    connect: (options?: Connect) => Packet;
    ending: Ending;
  }) => Promise<void>,
): Promise<void> {
  for (const delayMs of delays) {
    await using server = await startBroker({
      identities: [device],
      rules: [topicRule({ maxPayloadBytes: 200_000 })],
    });
    server.sink.isInstant = true;
    server.devices.delayMs = delayMs;
    const secret = delayMs > 0 ? { password: "raw" } : {};
    for (const ending of endings) {
      await check({ server, ending, connect: (options) => connectPacket({ ...secret, ...options }) });
      await until("the connection is gone", () => server.broker.status().connections === 0);
      server.sink.accepted.length = 0;
    }
  }
}

test("a payload of 100 KB, larger than one read, in the same write is accepted", () =>
  eachEnding(async ({ server, connect, ending }) => {
    const payload = "x".repeat(100_000);
    await burst(server, [connect(), publishPacket(topic, payload), disconnect], ending);
    await until("the message is accepted", () => server.sink.accepted.length === 1);
    assert.equal(texts(server)[0]?.length, payload.length);
  }));

test("500 messages in the same write are all accepted, in order", () =>
  eachEnding(async ({ server, connect, ending }) => {
    const messages = Array.from({ length: 500 }, (_, index) =>
      publishPacket(topic, `m${index}`, { qos: index % 2 === 0 ? 0 : 1, messageId: index + 1 }),
    );
    await burst(server, [connect(), ...messages, disconnect], ending);
    await until("the message is accepted", () => server.sink.accepted.length === messages.length);
    assert.deepEqual(
      texts(server),
      messages.map((_, index) => `m${index}`),
    );
  }));

test("DISCONNECT discards the will; an end without DISCONNECT publishes the will after the messages", () =>
  eachEnding(async ({ server, connect, ending }) => {
    const will = { topic, payload: Buffer.from("will"), qos: 1, retain: false };
    await burst(server, [connect({ will }), publishPacket(topic, "m1"), disconnect], ending);
    await until("the message is accepted", () => server.sink.accepted.length === 1);
    await until("the connection is gone", () => server.broker.status().connections === 0);
    await burst(server, [connect({ will }), publishPacket(topic, "m2")], ending);
    await until("the message is accepted", () => server.sink.accepted.length === 3);
    assert.deepEqual(texts(server), ["m1", "m2", "will"]);
  }));

test("messages sent apart from CONNECT, while the secret is checked, are accepted as well", async () => {
  await using server = await startBroker({ identities: [device] });
  server.sink.isInstant = true;
  server.devices.delayMs = 100;
  for (const ending of endings) {
    const client = await RawMqtt.open(server.port);
    client.send(connectPacket({ password: "raw" }));
    await turn();
    const bytes = Buffer.concat(
      [publishPacket(topic, "m1"), disconnect].map((each) => mqttPacket.generate(each)),
    );
    if (ending === "reset") client.socket.write(bytes, () => client.socket.resetAndDestroy());
    else client.socket.end(bytes, () => ending === "close" && client.socket.destroy());
    await until("the message is accepted", () => server.sink.accepted.length === 1);
    await until("the connection is gone", () => server.broker.status().connections === 0);
    server.sink.accepted.length = 0;
  }
});

test("messages of a connection that is reset while the secret is checked are accepted, and so is its will", async () => {
  await using server = await startBroker({ identities: [device] });
  server.sink.isInstant = true;
  server.devices.delayMs = 100;
  const will = { topic, payload: Buffer.from("will"), qos: 1, retain: false };
  const cases: [Packet[], string[]][] = [
    [
      [publishPacket(topic, "m1"), publishPacket(topic, "m2", { qos: 0 })],
      ["m1", "m2", "will"],
    ],
    [[publishPacket(topic, "m3", { qos: 2 }), disconnect], ["m3"]],
    [[], ["will"]],
  ];
  for (const [packets, expected] of cases)
    for (const ending of endings) {
      const client = await RawMqtt.open(server.port);
      client.send(connectPacket({ password: "raw", will }), ...packets);
      await turn();
      if (ending === "reset") client.socket.resetAndDestroy();
      else client.socket.end(() => ending === "close" && client.socket.destroy());
      await until("the message is accepted", () => server.sink.accepted.length === expected.length);
      assert.deepEqual(texts(server), expected);
      await until("the connection is gone", () => server.broker.status().connections === 0);
      server.sink.accepted.length = 0;
    }
  assert.deepEqual([server.broker.status().refused, server.broker.status().untaken], [{}, 0]);
});

test("a connection is reset before CONNACK: its plain message is counted as not accepted, and its plain will is published", async () => {
  await using server = await startBroker({ config: { plainPublishers: ["raw"] } });
  const subscriber = await RawMqtt.connected(server.port, { clientId: "subscriber" });
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "cmd/#", qos: 1 }] } as never);
  await subscriber.until(() => subscriber.of("suback").length === 1);
  server.devices.identities.push(device);
  server.devices.delayMs = 100;
  const will = { topic: "cmd/gone", payload: Buffer.from("will"), qos: 1, retain: false };
  const client = await RawMqtt.open(server.port);
  client.send(connectPacket({ password: "raw", will }), publishPacket("cmd/x", "m1"));
  await turn();
  client.socket.resetAndDestroy();
  await until(
    "the broker counts the messages that it did not accept",
    () => server.broker.status().untaken === 1,
  );
  await subscriber.until(() => subscriber.of("publish").length === 1);
  assert.equal((subscriber.of("publish")[0] as unknown as { topic: string }).topic, "cmd/gone");
  subscriber.end();
});

test("with a wrong secret nothing is accepted: the refusal and each later message are counted", async () => {
  await using server = await startBroker({ identities: [device] });
  server.devices.delayMs = 20;
  const messages = [0, 1, 2].map((qos) => publishPacket(topic, "x", { qos: qos as 0 | 1 | 2 }));
  for (const [index, ending] of endings.entries()) {
    await burst(server, [connectPacket({ password: "wrong" }), ...messages, disconnect], ending);
    await until(
      "the broker counts the messages that it did not accept",
      () => server.broker.status().untaken === 3 * (index + 1),
    );
    assert.deepEqual(server.broker.status().refused, { credentials: index + 1 });
  }
  assert.equal(server.sink.accepted.length, 0);
  assert.match(await server.registry.metrics(), /tidegate_broker_untaken_total 9/);
});

test("messages of a removed identity are counted and not accepted, even if the secret was right", async () => {
  await using server = await startBroker({ identities: [device] });
  server.devices.delayMs = 50;
  const client = await RawMqtt.open(server.port);
  client.send(connectPacket({ password: "raw" }), publishPacket(topic, "m1"));
  await turn();
  server.devices.revoke("raw");
  await client.closed();
  await until(
    "the broker counts the messages that it did not accept",
    () => server.broker.status().untaken === 1,
  );
  assert.deepEqual([texts(server), server.broker.status().refused], [[], { "authentication-busy": 1 }]);
});

test("messages after DISCONNECT, or after a refused packet, are counted and not accepted", async () => {
  await using server = await startBroker();
  server.sink.isInstant = true;
  const behind = [publishPacket(topic, "x", { qos: 0 }), publishPacket(topic, "y", { qos: 1, messageId: 9 })];
  const polite = await RawMqtt.connected(server.port);
  polite.send(publishPacket(topic, "m1"), disconnect, ...behind);
  await polite.closed();
  const rude = await RawMqtt.connected(server.port);
  rude.send(publishPacket(topic, "m2"), publishPacket("unknown/x", "x"), ...behind);
  await rude.closed();
  await until(
    "the broker counts the messages that it did not accept",
    () => server.broker.status().untaken === 4,
  );
  assert.deepEqual([texts(server), server.broker.status().refused], [["m1", "m2"], { "unknown-topic": 1 }]);
});

test("the last messages of a connected client are accepted, however the connection ends after them", async () => {
  await using server = await startBroker();
  server.sink.isInstant = true;
  const subscriptions = [{ topic: "f", qos: 0 }];
  const subscribe = { cmd: "subscribe", messageId: 1, subscriptions } as unknown as Packet;
  for (const ending of endings) {
    const client = await RawMqtt.connected(server.port);
    const messages = Array.from({ length: 300 }, (_, index) => publishPacket(topic, `m${index}`, { qos: 0 }));
    const packets = [...messages.slice(0, 100), subscribe, ...messages.slice(100)];
    const bytes = Buffer.concat(packets.map((each) => mqttPacket.generate(each)));
    if (ending === "reset") client.socket.write(bytes, () => client.socket.resetAndDestroy());
    else client.socket.end(bytes, () => ending === "close" && client.socket.destroy());
    await until("the message is accepted", () => server.sink.accepted.length === messages.length);
    server.sink.accepted.length = 0;
  }
  assert.equal(server.broker.status().untaken, 0);
});

test("messages that were read before a connection was paused are accepted when the peer resets the connection", async () => {
  await using server = await startBroker({ config: { inFlightMax: 1 } });
  const client = await RawMqtt.connected(server.port);
  client.publish(topic, "m1");
  await until("a connection is paused", () => server.broker.status().pausedConnections === 1);
  client.publish(topic, "m2", { qos: 0 });
  client.publish(topic, "m3", { messageId: 3 });
  await turn();
  client.socket.resetAndDestroy();
  await until("the message is accepted", () => server.sink.accepted.length === 3);
  assert.deepEqual([texts(server), server.broker.status().untaken], [["m1", "m2", "m3"], 0]);
  server.sink.settleAll();
});

test("messages that a stopping broker has read and not accepted are counted", async () => {
  await using server = await startBroker({ config: { inFlightMax: 1, stopTimeoutMs: 50 } });
  const client = await RawMqtt.connected(server.port);
  client.publish(topic, "m1");
  await until("a connection is paused", () => server.broker.status().pausedConnections === 1);
  client.publish(topic, "m2", { qos: 0 });
  await turn();
  await server.broker.stop();
  await until(
    "the broker counts the messages that it did not accept",
    () => server.broker.status().untaken === 1,
  );
  assert.deepEqual(texts(server), ["m1"]);
});

test("the will of a client with many subscriptions is published when its peer resets the connection", async () => {
  await using server = await startBroker();
  server.sink.isInstant = true;
  const will = { topic, payload: Buffer.from("will"), qos: 1, retain: false };
  for (const clean of [true, false]) {
    const client = await RawMqtt.connected(server.port, { will, clean });
    const subscriptions = Array.from({ length: 100 }, (_, index) => ({
      topic: `fleet/raw/${index}`,
      qos: 1,
    }));
    client.send({ cmd: "subscribe", messageId: 1, subscriptions } as never);
    await client.until(() => client.of("suback").length === 1);
    client.socket.resetAndDestroy();
    await until("the message is accepted", () => server.sink.accepted.length === 1);
    server.sink.accepted.length = 0;
  }
});
