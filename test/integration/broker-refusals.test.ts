import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerError, type TopicRule } from "../../broker/index.ts";
import { publishPacket, RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, type TestBroker, topicRule } from "../support/test-broker.ts";

const topic = "fleet/raw/telemetry";

async function refusedPublish(options: {
  rule?: Partial<TopicRule>;
  topic?: string;
  payload?: string;
  publish?: Parameters<typeof publishPacket>[2];
}): Promise<Readonly<Record<string, number>>> {
  await using server = await startBroker({ rules: [topicRule(options.rule)] });
  server.sink.isInstant = true;
  const bystander = await RawMqtt.connected(server.port, { clientId: "bystander" });
  const client = await RawMqtt.connected(server.port);
  client.publish(options.topic ?? topic, options.payload ?? "x", options.publish);
  await client.closed();
  assert.deepEqual(client.acknowledgedIds(), []);
  bystander.publish("fleet/bystander/telemetry", "{}");
  if (options.rule === undefined) await bystander.until(() => bystander.acknowledgedIds().length === 1);
  bystander.end();
  return server.broker.status().refused;
}

test("an unknown topic is refused", async () => {
  assert.deepEqual(await refusedPublish({ topic: "elsewhere/x" }), { "unknown-topic": 1 });
});

test("topics that begin with $ are closed to clients", async () => {
  assert.deepEqual(await refusedPublish({ topic: "$SYS/x/new/clients" }), { "not-authorized": 1 });
});

test("an oversized payload is refused", async () => {
  const refused = await refusedPublish({ payload: "x".repeat(1025) });
  assert.deepEqual(refused, { "payload-too-large": 1 });
});

test("a QoS that the topic does not allow is refused", async () => {
  assert.deepEqual(await refusedPublish({ rule: { allowedQos: [0, 2] } }), { "qos-not-allowed": 1 });
});

test("packet id 0, and QoS 0 with DUP, are malformed", async () => {
  const publish = Buffer.from([0x32, 0x05, 0x00, 0x01, 0x61, 0x00, 0x00]);
  await using server = await startBroker({ rules: [topicRule({ filter: "a" })] });
  const client = await RawMqtt.connected(server.port);
  client.write(publish);
  await client.closed();
  const other = await RawMqtt.connected(server.port);
  other.write(Buffer.from([0x38, 0x03, 0x00, 0x01, 0x61]));
  await other.closed();
  assert.equal(server.broker.status().refused["malformed"], 2);
});

test("a topic name with U+0000, a wildcard or broken UTF-8 is refused", async () => {
  await using server = await startBroker({ rules: [topicRule({ filter: "#" })] });
  for (const name of ["a\u0000b", "a/+", "a/#"]) {
    const client = await RawMqtt.connected(server.port);
    const text = Buffer.from(name);
    client.write(Buffer.concat([Buffer.from([0x30, text.length + 2, 0, text.length]), text]));
    await client.closed();
  }
  const client = await RawMqtt.connected(server.port);
  client.write(Buffer.from([0x30, 0x04, 0x00, 0x02, 0xc3, 0x28]));
  await client.closed();
  assert.equal(server.sink.accepted.length, 0);
  assert.equal(server.broker.status().refused["topic-name-invalid"], 4);
});

test("more messages than the topic's rate close the connection", async () => {
  await using server = await startBroker({ rules: [topicRule({ messagesPerSecond: 5 })] });
  const client = await RawMqtt.connected(server.port);
  client.send(
    ...Array.from({ length: 20 }, (_, index) => publishPacket(topic, "x", { messageId: index + 1 })),
  );
  await client.closed();
  assert(server.sink.accepted.length >= 5 && server.sink.accepted.length < 20);
  assert.equal(server.broker.status().refused["rate-exceeded"], 1);
});

test("a device may publish only as itself, an edge for the devices below its prefixes", async () => {
  await using server = await startBroker({
    config: { anonymous: false },
    identities: [
      { name: "dev1", role: "device", topicPrefixes: [] },
      { name: "gw", role: "edge", topicPrefixes: ["fleet/hall-"] },
    ],
  });
  const login = (name: string, clientId = name) =>
    RawMqtt.connected(server.port, { clientId, username: name, password: Buffer.from(name) });
  const device = await login("dev1");
  device.publish("fleet/dev1/telemetry", "mine");
  await device.until(() => server.sink.accepted.length === 1);
  device.publish("fleet/dev2/telemetry", "not mine", { messageId: 2 });
  await device.closed();
  const edge = await login("gw", "gw/7");
  edge.publish("fleet/hall-3/telemetry", "below");
  await edge.until(() => server.sink.accepted.length === 2);
  assert.deepEqual(
    server.sink.accepted.map(({ deviceId }) => deviceId),
    ["dev1", "hall-3"],
  );
  edge.publish("fleet/yard/telemetry", "elsewhere", { messageId: 2 });
  await edge.closed();
  const { refused } = server.broker.status();
  assert.deepEqual(refused, { "device-mismatch": 1, "not-authorized": 1 });
});

async function connackOf(server: TestBroker, options: Record<string, unknown>): Promise<number | undefined> {
  const client = await RawMqtt.open(server.port);
  client.connect(options);
  await client.closed();
  return (client.of("connack")[0] as { returnCode?: number } | undefined)?.returnCode;
}

test("wrong credentials, missing ones and foreign client ids are refused with the standard's codes", async () => {
  await using server = await startBroker({
    config: { anonymous: false },
    identities: [{ name: "dev1", role: "device", topicPrefixes: [] }],
  });
  assert.equal(await connackOf(server, { clientId: "dev1" }), 5);
  assert.equal(
    await connackOf(server, { clientId: "dev1", username: "dev1", password: Buffer.from("no") }),
    5,
  );
  assert.equal(
    await connackOf(server, { clientId: "dev2", username: "dev1", password: Buffer.from("dev1") }),
    2,
  );
  assert.deepEqual(server.broker.status().refused, { credentials: 2, "client-id-foreign": 1 });
});

test("an authentication that takes too long is answered with server unavailable", async () => {
  await using server = await startBroker({ config: { authenticationTimeoutMs: 20 } });
  server.devices.delayMs = 300;
  assert.equal(await connackOf(server, { username: "slow", password: Buffer.from("slow") }), 3);
  assert.equal(server.broker.status().refused["authentication-busy"], 1);
});

test("a removed identity's connections are closed", async () => {
  await using server = await startBroker({
    identities: [{ name: "dev1", role: "device", topicPrefixes: [] }],
  });
  const client = await RawMqtt.connected(server.port, {
    clientId: "dev1",
    username: "dev1",
    password: Buffer.from("dev1"),
  });
  server.devices.revoke("dev1");
  await client.closed();
});

test("an identity that is removed during its check is not admitted", async () => {
  await using server = await startBroker({
    identities: [{ name: "dev1", role: "device", topicPrefixes: [] }],
  });
  server.devices.delayMs = 100;
  const client = await RawMqtt.open(server.port);
  client.connect({ clientId: "dev1", username: "dev1", password: Buffer.from("dev1") });
  await new Promise((resolve) => setTimeout(resolve, 30));
  server.devices.revoke("dev1");
  await client.closed();
  assert.equal((client.of("connack")[0] as { returnCode?: number }).returnCode, 3);
});

test("client ids that are missing, too long or with control characters are refused; names of prototypes are accepted", async () => {
  await using server = await startBroker();
  server.sink.isInstant = true;
  const nameless = await RawMqtt.open(server.port);
  nameless.write(Buffer.from([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0, 0, 60, 0, 0]));
  await nameless.closed();
  assert.deepEqual(
    nameless.of("connack").map((packet) => "returnCode" in packet && packet.returnCode),
    [2],
  );
  assert.equal(await connackOf(server, { clientId: "x".repeat(257) }), 2);
  assert.equal(await connackOf(server, { clientId: "a\u0001b" }), 2);
  for (const clientId of ["constructor", "__proto__", "toString"]) {
    const client = await RawMqtt.connected(server.port, { clientId });
    client.publish(`fleet/${clientId}/telemetry`, "x");
    await client.until(() => client.acknowledgedIds().length === 1);
    client.end();
  }
});

test("an MQTT 5 CONNECT gets the answer of MQTT 5: unsupported protocol version", async () => {
  await using server = await startBroker();
  const client = await RawMqtt.open(server.port);
  const chunks: Buffer[] = [];
  client.socket.on("data", (chunk) => chunks.push(chunk));
  client.write(Buffer.from([0x10, 15, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 2, 0, 60, 0, 0, 2, 0x76, 0x35]));
  await client.closed();
  assert.deepEqual(Buffer.concat(chunks), Buffer.from([0x20, 3, 0, 0x84, 0]));
  assert.equal(server.broker.status().refused["protocol-version"], 1);
});

test("a packet of 200 MB is refused at its first bytes, before CONNECT and after", async () => {
  await using server = await startBroker();
  const header = (type: number) => Buffer.from([type, 0x80, 0x84, 0xaf, 0x5f]);
  const stranger = await RawMqtt.open(server.port);
  stranger.write(Buffer.concat([header(0x10), Buffer.from([0, 4, 0x4d, 0x51])]));
  await stranger.closed();
  const client = await RawMqtt.connected(server.port);
  client.write(Buffer.concat([header(0x32), Buffer.from([0, 4, 0x4d, 0x51])]));
  await client.closed();
  assert.equal(server.broker.status().refused["packet-too-large"], 2);
});

test("anonymous clients are allowed on loopback only", async () => {
  await assert.rejects(startBroker({ config: { host: "0.0.0.0" } }), (error) => {
    assert(error instanceof BrokerError);
    return error.code === "ANONYMOUS_NOT_LOOPBACK" && /mqtt\.anonymous = false/.test(error.message);
  });
});

test("an address in use is MQTT_ADDRESS_UNUSABLE", async () => {
  await using server = await startBroker();
  await assert.rejects(startBroker({ config: { port: server.port } }), (error) => {
    assert(error instanceof BrokerError);
    return error.code === "MQTT_ADDRESS_UNUSABLE" && error.message.includes(String(server.port));
  });
});

test("connections beyond the allowed number are closed at once", async () => {
  await using server = await startBroker({ config: { maxConnections: 1 } });
  const first = await RawMqtt.connected(server.port);
  const second = await RawMqtt.open(server.port);
  await second.closed();
  assert.equal(server.broker.status().refused["connection-limit"], 1);
  first.end();
});

test("subscriptions: $SYS and foreign ones get 0x80, and malformed filters close the connection", async () => {
  await using server = await startBroker({
    rules: [topicRule({ subscribers: ["dashboard*"] })],
    identities: [
      { name: "dev1", role: "device", topicPrefixes: [] },
      { name: "dashboard1", role: "device", topicPrefixes: [] },
    ],
  });
  const subscribe = async (name: string, filter: string) => {
    const client = await RawMqtt.connected(server.port, {
      clientId: name,
      username: name,
      password: Buffer.from(name),
    });
    client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: filter, qos: 1 }] } as never);
    await client.until(() => client.isClosed || client.of("suback").length > 0);
    const granted = (client.of("suback")[0] as { granted?: number[] } | undefined)?.granted;
    client.end();
    return granted?.[0] ?? "closed";
  };
  assert.equal(await subscribe("dev1", "$SYS/#"), 128);
  assert.equal(await subscribe("dev1", "fleet/dev1/telemetry"), 128);
  assert.equal(await subscribe("dev1", "#"), 128);
  assert.equal(await subscribe("dev1", "cmd/dev2/reboot"), 128);
  assert.equal(await subscribe("dev1", "cmd/dev1/#"), 1);
  assert.equal(await subscribe("dashboard1", "fleet/+/telemetry"), 1);
  assert.equal(await subscribe("dashboard1", "fleet/#"), 1);
  assert.equal(await subscribe("dev1", "cmd/#/x"), "closed");
  assert.equal(server.broker.status().refused["subscription"], 4);
});

test("a refusal is logged with address, limit and actual size, once for each reason of a client", async () => {
  await using server = await startBroker({
    config: { packetMaxBytes: 2_048, clientIdMaxBytes: 200, subscriptionsMax: 1, maxConnections: 2 },
    rules: [topicRule({ allowedQos: [1] })],
  });
  const refusedBy = async (act: (client: RawMqtt) => void) => {
    const client = await RawMqtt.connected(server.port, { clientId: "dev1" });
    act(client);
    await client.closed();
  };
  await refusedBy((client) => client.publish(topic, "x".repeat(1_025)));
  await refusedBy((client) => client.publish(topic, "x", { qos: 0 }));
  await refusedBy((client) => client.publish(`${"t".repeat(1_000)}/x`, "x"));
  await refusedBy((client) => client.publish("a/".repeat(100), "x"));
  await refusedBy((client) => client.publish(topic, "x".repeat(2_048)));
  assert.equal(await connackOf(server, { clientId: "x".repeat(201) }), 2);
  const subscriber = await RawMqtt.connected(server.port, { clientId: "sub" });
  const subscriptions = ["a", "b"].map((name) => ({ topic: name, qos: 1 }));
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions } as never);
  await subscriber.until(() => subscriber.of("suback").length > 0);
  const other = await RawMqtt.connected(server.port, { clientId: "other" });
  await (await RawMqtt.open(server.port)).closed();
  const told = server.logged.filter(({ event }) => event === "broker.refused");
  assert.deepEqual(
    told.map(({ reason, client, address, limit, actual }) => [reason, client, address, limit, actual]),
    [
      ["payload-too-large", "dev1", "127.0.0.1", 1_024, 1_025],
      ["qos-not-allowed", "dev1", "127.0.0.1", [1], 0],
      ["unknown-topic", "dev1", "127.0.0.1", undefined, undefined],
      ["topic-name-invalid", "dev1", "127.0.0.1", 100, 101],
      ["packet-too-large", "dev1", "127.0.0.1", 2_048, 2_048 + topic.length + 4],
      ["client-id-invalid", `${"x".repeat(128)}… (201 characters)`, "127.0.0.1", 200, 201],
      ["subscription-limit", "sub", "127.0.0.1", 1, 2],
      ["connection-limit", "", "127.0.0.1", 2, 3],
    ],
  );
  assert.equal(told[2]?.["topic"], `${"t".repeat(128)}… (1002 characters)`);
  for (const client of [subscriber, other]) client.end();
});
