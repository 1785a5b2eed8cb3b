import assert from "node:assert/strict";
import { test } from "node:test";
import { RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, type TestBroker } from "../support/test-broker.ts";

const topic = "fleet/raw/telemetry";

interface Sent {
  readonly payload: string;
  readonly topic?: string;
  readonly messageId?: number;
  readonly dup?: boolean;
}

const session = (server: TestBroker) => RawMqtt.connected(server.port, { clean: false });

const isSessionPresent = (client: RawMqtt): boolean =>
  (client.of("connack")[0] as unknown as { sessionPresent: boolean }).sessionPresent;

/** Publishes with QoS 2 and waits for PUBREC. */
async function publish(
  client: RawMqtt,
  { payload, messageId = 1, dup = false, ...rest }: Sent,
): Promise<void> {
  const before = client.of("pubrec").length;
  client.publish(rest.topic ?? topic, payload, { qos: 2, messageId, dup });
  await client.until(() => client.of("pubrec").length === before + 1);
}

async function release(client: RawMqtt, messageId = 1): Promise<void> {
  const before = client.of("pubcomp").length;
  client.send({ cmd: "pubrel", messageId } as never);
  await client.until(() => client.of("pubcomp").length === before + 1);
}

const texts = ({ sink }: TestBroker): string[] => sink.accepted.map(({ text }) => text);

async function startInstantBroker(): Promise<TestBroker> {
  const server = await startBroker();
  server.sink.isInstant = true;
  return server;
}

for (const dup of [false, true])
  test(`a new message under an identifier of an earlier connection of the session is stored, DUP ${Number(dup)}`, async () => {
    await using server = await startInstantBroker();
    const first = await session(server);
    await publish(first, { payload: "m1" });
    first.end();
    const second = await session(server);
    await publish(second, { payload: "m2", dup });
    await release(second);
    assert.deepEqual(texts(server), ["m1", "m2"]);
    second.end();
  });

test("the same payload under another topic name is another message", async () => {
  await using server = await startInstantBroker();
  const client = await session(server);
  await publish(client, { payload: "x" });
  await publish(client, { payload: "x", topic: "fleet/other/telemetry" });
  assert.deepEqual(
    server.sink.accepted.map(({ topicName }) => topicName),
    [topic, "fleet/other/telemetry"],
  );
  client.end();
});

test("the same message again, DUP or not, is answered from the receipt and counted as repeated", async () => {
  await using server = await startInstantBroker();
  const client = await session(server);
  await publish(client, { payload: "m1" });
  await publish(client, { payload: "m1", dup: true });
  await publish(client, { payload: "m1", dup: false });
  assert.deepEqual(texts(server), ["m1"]);
  const { acknowledged, repeated } = server.broker.status();
  assert.deepEqual({ acknowledged, repeated }, { acknowledged: 3, repeated: 2 });
  assert.match(await server.registry.metrics(), /tidegate_broker_repeated_total 2/);
  client.end();
});

test("a message under the identifier of another one that is not durable yet is stored as well", async () => {
  await using server = await startBroker();
  const client = await session(server);
  client.publish(topic, "m1", { qos: 2, messageId: 1 });
  client.publish(topic, "m2", { qos: 2, messageId: 1 });
  await client.until(() => server.sink.accepted.length === 2);
  assert.deepEqual(texts(server), ["m1", "m2"]);
  server.sink.settleAll();
  await client.until(() => client.of("pubrec").length === 2);
  await release(client);
  client.end();
});

test("a message that is sent again after another one used its identifier is stored again", async () => {
  await using server = await startInstantBroker();
  const client = await session(server);
  await publish(client, { payload: "m1" });
  await publish(client, { payload: "m2" });
  await publish(client, { payload: "m1", dup: true });
  assert.deepEqual(texts(server), ["m1", "m2", "m1"]);
  client.end();
});

test("two gateways: a receipt on one of them does not suppress a message that was first sent to the other", async () => {
  await using left = await startInstantBroker();
  await using right = await startBroker();
  const atLeft = await session(left);
  await publish(atLeft, { payload: "m1" });
  atLeft.end();
  // m1 ends at the other gateway, which has no receipt and stores the message again.
  right.sink.isInstant = true;
  const atRight = await session(right);
  await publish(atRight, { payload: "m1", dup: true });
  await release(atRight);
  right.sink.isInstant = false;
  atRight.publish(topic, "m2", { qos: 2, messageId: 1 });
  await atRight.until(() => right.sink.accepted.length === 2);
  atRight.end();
  right.sink.settleAll(new Error("the gateway died"));
  const back = await session(left);
  await publish(back, { payload: "m2", dup: true });
  await release(back);
  assert.deepEqual(texts(left), ["m1", "m2"]);
  back.end();
});

test("session present says whether QoS 2 state is kept; if it says no, there is none", async () => {
  await using server = await startInstantBroker();
  const first = await session(server);
  assert.equal(isSessionPresent(first), false);
  await publish(first, { payload: "m1" });
  first.end();
  const second = await session(server);
  assert.equal(isSessionPresent(second), true);
  await publish(second, { payload: "m1", dup: true });
  assert.deepEqual(texts(server), ["m1"]);
  second.end();
  const clean = await RawMqtt.connected(server.port, { clean: true });
  assert.equal(isSessionPresent(clean), false);
  clean.end();
  const fresh = await session(server);
  assert.equal(isSessionPresent(fresh), false);
  await publish(fresh, { payload: "m1", dup: true });
  assert.deepEqual(texts(server), ["m1", "m1"]);
  fresh.end();
  assert.deepEqual(server.broker.status().refused, {});
});

test("a session with a subscription is reported as present, and continues to receive", async () => {
  await using server = await startInstantBroker();
  const first = await session(server);
  first.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "fleet/#", qos: 1 }] } as never);
  await first.until(() => first.of("suback").length === 1);
  first.end();
  const second = await session(server);
  assert.equal(isSessionPresent(second), true);
  await publish(second, { payload: "heard" });
  await second.until(() => second.of("publish").length === 1);
  second.end();
});

test("PUBREL of an unknown identifier is answered with PUBCOMP", async () => {
  await using server = await startInstantBroker();
  const client = await session(server);
  await release(client, 77);
  client.end();
});

test("plain publish/subscribe: a new message under an identifier of an earlier connection of the session is delivered", async () => {
  await using server = await startInstantBroker();
  const subscriber = await RawMqtt.connected(server.port, { clientId: "subscriber" });
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "cmd/#", qos: 1 }] } as never);
  await subscriber.until(() => subscriber.of("suback").length === 1);
  const heard = () =>
    subscriber.of("publish").map((packet) => (packet as unknown as { payload: Buffer }).payload.toString());
  const first = await session(server);
  await publish(first, { payload: "m1", topic: "cmd/a" });
  first.end();
  const second = await session(server);
  await publish(second, { payload: "m1", topic: "cmd/a", dup: true });
  await publish(second, { payload: "m2", topic: "cmd/a" });
  await release(second);
  // A telemetry message and a plain message may follow each other under one identifier, in either order.
  await publish(second, { payload: "m3" });
  await publish(second, { payload: "m4", topic: "cmd/a" });
  await publish(second, { payload: "m5" });
  await release(second);
  await publish(second, { payload: "m6", topic: "cmd/a" });
  await subscriber.until(() => heard().length === 4);
  assert.deepEqual(heard(), ["m1", "m2", "m4", "m6"]);
  assert.deepEqual(texts(server), ["m3", "m5"]);
  for (const client of [subscriber, second]) client.end();
});
