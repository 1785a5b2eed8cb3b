import assert from "node:assert/strict";
import { test } from "node:test";
import { publishPacket, RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, type TestBroker, topicRule } from "../support/test-broker.ts";

const topic = "fleet/raw/telemetry";

interface Subscription {
  readonly filter?: string;
  readonly qos?: 0 | 1 | 2;
  readonly clean?: boolean;
}

async function subscribed(
  server: TestBroker,
  clientId: string,
  { filter = "fleet/#", qos = 1, clean = true }: Subscription = {},
): Promise<RawMqtt> {
  const client = await RawMqtt.connected(server.port, { clientId, clean });
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: filter, qos }] } as never);
  await client.until(() => client.of("suback").length === 1);
  return client;
}

interface Delivered {
  readonly text: string;
  readonly dup: boolean;
  readonly qos: number;
  readonly messageId: number;
}

function delivered(client: RawMqtt): Delivered[] {
  return client.of("publish").map((packet) => {
    const { payload, dup, qos, messageId } = packet as unknown as Omit<Delivered, "text"> & {
      payload: Buffer;
    };
    return { text: payload.toString(), dup, qos, messageId };
  });
}

const acknowledge = (client: RawMqtt) =>
  client.send(...delivered(client).map(({ messageId }) => ({ cmd: "puback", messageId }) as never));

test("messages of all QoS arrive once and in order, although only some of them wait for a store", async () => {
  await using server = await startBroker();
  server.sink.isInstant = true;
  const subscriber = await subscribed(server, "dashboard", { qos: 2 });
  const client = await RawMqtt.connected(server.port);
  const texts = Array.from({ length: 300 }, (_, index) => `m${index}`);
  client.send(
    ...texts.map((text, index) =>
      publishPacket(topic, text, { qos: (index % 3) as 0 | 1 | 2, messageId: index + 1 }),
    ),
  );
  await subscriber.until(() => subscriber.of("publish").length === texts.length);
  assert.deepEqual(
    delivered(subscriber).map(({ text }) => text),
    texts,
  );
  // [MQTT-3.8.4-6] QoS 1 was granted.
  assert(delivered(subscriber).every(({ qos }) => qos <= 1));
  for (const each of [subscriber, client]) each.end();
});

test("a message that could not be made durable is not delivered", async () => {
  await using server = await startBroker();
  const subscriber = await subscribed(server, "dashboard");
  const client = await RawMqtt.connected(server.port);
  client.publish(topic, "dropped", { qos: 0 });
  client.publish(topic, "stored");
  await client.until(() => server.sink.accepted.length === 2);
  const [dropped, stored] = server.sink.accepted;
  dropped?.settle(new Error("full"));
  stored?.settle();
  await subscriber.until(() => subscriber.of("publish").length > 0);
  assert.deepEqual(
    delivered(subscriber).map(({ text }) => text),
    ["stored"],
  );
  for (const each of [subscriber, client]) each.end();
});

test("a persistent session gets the messages of its absence, and messages that are sent again have DUP", async () => {
  await using server = await startBroker();
  server.sink.isInstant = true;
  const client = await RawMqtt.connected(server.port);
  const first = await subscribed(server, "dashboard", { clean: false });
  client.publish(topic, "unacknowledged");
  await first.until(() => first.of("publish").length === 1);
  first.end();
  await client.until(() => client.acknowledgedIds().length === 1);
  client.publish(topic, "away", { messageId: 2 });
  await client.until(() => client.acknowledgedIds().length === 2);
  const second = await RawMqtt.connected(server.port, { clientId: "dashboard", clean: false });
  await second.until(() => second.of("publish").length === 2);
  assert.deepEqual(
    delivered(second).map(({ text, dup }) => ({ text, dup })),
    [
      { text: "unacknowledged", dup: true },
      { text: "away", dup: false },
    ],
  );
  acknowledge(second);
  second.send({ cmd: "pingreq" } as never);
  await second.until(() => second.of("pingresp").length === 1);
  second.end();
  const third = await RawMqtt.connected(server.port, { clientId: "dashboard", clean: false });
  third.send({ cmd: "pingreq" } as never);
  await third.until(() => third.of("pingresp").length === 1);
  assert.deepEqual(delivered(third), []);
  for (const each of [third, client]) each.end();
});

test("a session with a full queue stays connected, and messages without room in the queue are counted", async () => {
  await using server = await startBroker({ config: { sessionQueueMax: 10 } });
  server.sink.isInstant = true;
  const subscriber = await subscribed(server, "dashboard", { clean: false });
  const client = await RawMqtt.connected(server.port);
  client.send(
    ...Array.from({ length: 30 }, (_, index) => publishPacket(topic, "x", { messageId: index + 1 })),
  );
  await subscriber.until(() => subscriber.of("publish").length === 30);
  assert.match(await server.registry.metrics(), /tidegate_broker_session_dropped_total 20/);
  acknowledge(subscriber);
  subscriber.send({ cmd: "pingreq" } as never);
  await subscriber.until(() => subscriber.of("pingresp").length === 1);
  client.publish(topic, "room again", { messageId: 31 });
  await subscriber.until(() => subscriber.of("publish").length === 31);
  assert.match(await server.registry.metrics(), /tidegate_broker_session_dropped_total 20/);
  for (const each of [subscriber, client]) each.end();
});

test("a refused filter next to a granted one queues nothing for its session", async () => {
  await using server = await startBroker({
    config: { plainPublishers: ["operator"] },
    identities: ["dev1", "operator"].map((name) => ({ name, role: "device", topicPrefixes: [] })),
  });
  const login = (name: string, clean: boolean) =>
    RawMqtt.connected(server.port, { clientId: name, username: name, password: Buffer.from(name), clean });
  const device = await login("dev1", false);
  const subscriptions = ["cmd/dev1/#", "cmd/dev2/#"].map((filter) => ({ topic: filter, qos: 1 }));
  device.send({ cmd: "subscribe", messageId: 1, subscriptions } as never);
  await device.until(() => device.of("suback").length === 1);
  device.end();
  const operator = await login("operator", true);
  operator.publish("cmd/dev2/unlock", "not for dev1", { messageId: 1 });
  operator.publish("cmd/dev1/reboot", "now", { messageId: 2 });
  await operator.until(() => operator.acknowledgedIds().length === 2);
  const back = await login("dev1", false);
  await back.until(() => back.of("publish").length > 0);
  back.send({ cmd: "pingreq" } as never);
  await back.until(() => back.of("pingresp").length === 1);
  assert.deepEqual(
    delivered(back).map(({ text }) => text),
    ["now"],
  );
  for (const each of [operator, back]) each.end();
});

test("persistent sessions above their limit, and filters above a client's limit, get 0x80", async () => {
  await using server = await startBroker({ config: { maxConnections: 2 } });
  const granted = async (clientId: string, filters: readonly string[], clean = false) => {
    const client = await RawMqtt.connected(server.port, { clientId, clean });
    const subscriptions = filters.map((filter) => ({ topic: filter, qos: 1 }));
    client.send({ cmd: "subscribe", messageId: 1, subscriptions } as never);
    await client.until(() => client.of("suback").length === 1);
    client.end();
    await client.closed();
    return (client.of("suback")[0] as unknown as { granted: number[] }).granted;
  };
  assert.deepEqual(await granted("a", ["x"]), [1]);
  assert.deepEqual(await granted("b", ["x"]), [1]);
  assert.deepEqual(await granted("c", ["x"]), [128]);
  assert.deepEqual(await granted("b", ["y"]), [1]);
  const many = Array.from({ length: 1_001 }, (_, index) => `f/${index}`);
  const answers = await granted("c", many, true);
  assert.equal(answers.filter((answer) => answer === 128).length, 1);
  assert.equal(server.broker.status().refused["subscription-limit"], 2);
});

test("only the subscriber that does not read is disconnected, and others continue to receive", async () => {
  await using server = await startBroker({
    config: { subscriberMaxBytes: 65_536, drainTimeoutMs: 60_000 },
    rules: [topicRule({ maxPayloadBytes: 65_536 })],
  });
  server.sink.isInstant = true;
  const subscribe = async (clientId: string) => {
    const client = await RawMqtt.connected(server.port, { clientId });
    client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "fleet/#", qos: 0 }] } as never);
    await client.until(() => client.of("suback").length === 1);
    return client;
  };
  const slow = await subscribe("slow");
  const quick = await subscribe("quick");
  slow.socket.pause();
  const publisher = await RawMqtt.connected(server.port);
  const payload = "x".repeat(60_000);
  const total = 300;
  for (let messageId = 1; messageId <= total; messageId++) {
    publisher.publish(topic, payload, { messageId });
    await publisher.until(() => publisher.acknowledgedIds().length === messageId);
  }
  await quick.until(() => quick.of("publish").length === total);
  assert.equal(server.broker.status().refused["slow-subscriber"], 1);
  for (const client of [slow, quick, publisher]) client.end();
});

test("a subscriber that reads nothing for too long is disconnected and counted", async () => {
  await using server = await startBroker({
    config: { drainTimeoutMs: 100 },
    rules: [topicRule({ maxPayloadBytes: 65_536 })],
  });
  server.sink.isInstant = true;
  const slow = await subscribed(server, "slow");
  slow.socket.pause();
  const publisher = await RawMqtt.connected(server.port);
  const payload = "x".repeat(60_000);
  for (let messageId = 1; server.broker.status().refused["slow-subscriber"] === undefined; messageId++) {
    assert(messageId < 2_000, "the subscriber was not disconnected");
    publisher.publish(topic, payload, { messageId });
    await publisher.until(() => publisher.acknowledgedIds().length === messageId);
  }
  assert.deepEqual(server.broker.status().refused, { "slow-subscriber": 1 });
  for (const client of [slow, publisher]) client.end();
});
