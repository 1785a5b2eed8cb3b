import assert from "node:assert/strict";
import { test } from "node:test";
import { RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, type TestBroker, topicRule } from "../support/test-broker.ts";

// Topics and plain filters share one precedence: the most specific filter decides about a topic name.

async function startPlainBroker(plainFilters: readonly string[], filter?: string): Promise<TestBroker> {
  const server = await startBroker({
    config: { plainFilters, plainPublishers: ["operator"] },
    identities: ["dev1", "operator"].map((name) => ({ name, role: "device", topicPrefixes: [] })),
    rules: [topicRule(filter === undefined ? {} : { filter })],
  });
  server.sink.isInstant = true;
  return server;
}

const login = (server: TestBroker, name: string) =>
  RawMqtt.connected(server.port, { clientId: name, username: name, password: Buffer.from(name) });

async function heardBy(client: RawMqtt, filter: string): Promise<() => string[]> {
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: filter, qos: 1 }] } as never);
  await client.until(() => client.of("suback").length === 1);
  assert.deepEqual((client.of("suback")[0] as unknown as { granted: number[] }).granted, [1]);
  return () =>
    client.of("publish").map((packet) => (packet as unknown as { payload: Buffer }).payload.toString());
}

for (const plainFilter of ["#", "fleet/#", "+/+/+"])
  test(`a publish on a deleted topic's names is refused and counted, although ${plainFilter} matches them`, async () => {
    await using server = await startPlainBroker([plainFilter]);
    const operator = await login(server, "operator");
    const topic = "fleet/operator/telemetry";
    operator.publish(topic, "filed");
    await operator.until(() => operator.acknowledgedIds().length === 1);
    server.topics.replace([]);
    operator.publish(topic, "late", { messageId: 2 });
    await operator.closed();
    assert.deepEqual(operator.acknowledgedIds(), [1]);
    assert.deepEqual(
      server.sink.accepted.map(({ text }) => text),
      ["filed"],
    );
    assert.deepEqual(server.broker.status().refused, { "unknown-topic": 1 });
  });

test("a topic # gives its publishers no command topics, and takes none from the clients that may publish them", async () => {
  await using server = await startPlainBroker(["cmd/#"], "#");
  const device = await login(server, "dev1");
  const heard = await heardBy(device, "cmd/dev1/#");
  const operator = await login(server, "operator");
  operator.publish("cmd/dev1/reboot", "now");
  await operator.until(() => operator.acknowledgedIds().length === 1);
  await device.until(() => heard().length === 1);
  device.publish("any/name", "telemetry", { messageId: 1 });
  await device.until(() => device.acknowledgedIds().length === 1);
  device.publish("cmd/operator/reboot", "forged", { messageId: 2 });
  await device.closed();
  assert.deepEqual(
    server.sink.accepted.map(({ text }) => text),
    ["telemetry"],
  );
  assert.deepEqual(server.broker.status().refused, { "not-authorized": 1 });
  assert.match(await server.registry.metrics(), /tidegate_broker_plain_total 1/);
  operator.end();
});
