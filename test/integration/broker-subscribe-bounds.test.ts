import assert from "node:assert/strict";
import { test } from "node:test";
import type { Packet } from "mqtt-packet";
import type { BrokerConfig } from "../../broker/index.ts";
import { Bystanders } from "../support/bystanders.ts";
import { publishPacket, RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, type TestBroker } from "../support/test-broker.ts";

/** Far more than a slow machine needs, and far less than the 48 s that one SUBSCRIBE once took. */
const waitMaxMs = 5_000;

const identity = (name: string) => ({ name, role: "device", topicPrefixes: [] }) as const;
const start = (config: Partial<BrokerConfig> = {}) =>
  startBroker({ config, identities: ["dev1", "dev2"].map(identity) });

function login(server: TestBroker, name: string, clean = true): Promise<RawMqtt> {
  const secret = { username: name, password: Buffer.from(name) };
  return RawMqtt.connected(server.port, { clientId: name, clean, ...secret });
}

const numbered = (count: number, prefix = "cmd/dev1/") =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);

const subscribePacket = (filters: readonly string[], messageId = 1) =>
  ({
    cmd: "subscribe",
    messageId,
    subscriptions: filters.map((topic) => ({ topic, qos: 1 })),
  }) as unknown as Packet;

const unsubscribePacket = (unsubscriptions: readonly string[], messageId = 1) =>
  ({ cmd: "unsubscribe", messageId, unsubscriptions }) as unknown as Packet;

const grants = (client: RawMqtt) =>
  client.of("suback").map((packet) => (packet as unknown as { granted: number[] }).granted);

async function subscribed(client: RawMqtt, filters: readonly string[]): Promise<number[]> {
  const count = client.of("suback").length;
  client.send(subscribePacket(filters));
  await client.until(() => client.of("suback").length > count || client.isClosed);
  return grants(client).at(-1) ?? [];
}

const texts = (client: RawMqtt) =>
  client.of("publish").map((packet) => String((packet as unknown as { payload: Buffer }).payload));

/** Once PINGRESP arrives, all earlier packets have been handled. */
async function pinged(client: RawMqtt): Promise<void> {
  const count = client.of("pingresp").length;
  client.send({ cmd: "pingreq" });
  await client.until(() => client.of("pingresp").length > count);
}

for (const clean of [false, true])
  test(`SUBSCRIBE with 3,000 filters is answered while others publish; the client has its maximum (clean session: ${clean})`, async () => {
    await using server = await start();
    server.sink.isInstant = true;
    const bystanders = await Bystanders.start(server.port);
    const hostile = await login(server, "dev1", clean);
    const answers = await subscribed(hostile, numbered(3_000));
    assert.deepEqual(
      answers,
      answers.map((_, index) => (index < 1_000 ? 1 : 128)),
    );
    assert.equal(answers.length, 3_000);
    assert.deepEqual(await subscribed(hostile, ["cmd/dev1/0", "cmd/dev1/more"]), [1, 128]);
    hostile.send(unsubscribePacket(["cmd/dev1/0"]));
    await hostile.until(() => hostile.of("unsuback").length === 1);
    assert.deepEqual(await subscribed(hostile, ["cmd/dev1/more", "cmd/dev1/again"]), [1, 128]);
    hostile.end();
    await hostile.closed();
    const back = await login(server, "dev1", clean);
    assert.deepEqual(await subscribed(back, ["cmd/dev1/again"]), [clean ? 1 : 128]);
    back.end();
    const longestMs = await bystanders.stop();
    assert(longestMs < waitMaxMs, `a PUBACK took ${longestMs} ms`);
    assert.equal(server.broker.status().refused["subscription-limit"], clean ? 2_002 : 2_003);
  });

test("other clients are served during one large SUBSCRIBE", async () => {
  await using server = await start();
  const hostile = await login(server, "dev1");
  const other = await RawMqtt.connected(server.port, { clientId: "other" });
  let isAnswered = false;
  let pings = 0;
  hostile.socket.on("data", () => {
    isAnswered = true;
  });
  other.socket.on("data", () => {
    if (isAnswered) return;
    pings++;
    other.send({ cmd: "pingreq" });
  });
  hostile.send(subscribePacket(numbered(1_000)));
  other.send({ cmd: "pingreq" });
  await hostile.until(() => isAnswered && hostile.of("suback").length > 0);
  assert(pings >= 3, `${pings} answers before SUBACK`);
  assert.deepEqual(
    grants(hostile)[0],
    numbered(1_000).map(() => 1),
  );
  for (const client of [hostile, other]) client.end();
});

for (const clean of [false, true])
  test(`a client that reconnects while its filters are removed gets its new subscriptions (clean session: ${clean})`, async () => {
    await using server = await start();
    server.sink.isInstant = true;
    const first = await login(server, "dev1", false);
    await subscribed(first, ["fleet/#", ...numbered(900)]);
    first.send(unsubscribePacket(["fleet/#", ...numbered(890)]));
    // The test does not wait for an answer: the next connection takes the session over during this work or
    // after it.
    first.socket.end();
    const back = await login(server, "dev1", clean);
    assert.deepEqual(await subscribed(back, ["fleet/#"]), [1]);
    const other = await RawMqtt.connected(server.port, { clientId: "other" });
    other.publish("fleet/other/telemetry", "heard");
    await back.until(() => back.of("publish").length > 0);
    back.end();
    await back.closed();
    const again = await login(server, "dev1", clean);
    other.publish("fleet/other/telemetry", "kept", { messageId: 2 });
    await other.until(() => other.acknowledgedIds().length === 2);
    await again.until(() => clean || texts(again).includes("kept"));
    await pinged(again);
    assert.equal(texts(again).includes("kept"), !clean);
    for (const client of [other, again]) client.end();
  });

test("the filters of all clients together are bounded; filters of kept sessions count, and exist again after a reconnect", async () => {
  await using server = await start({ subscriptionsOfAllMax: 10 });
  const kept = await login(server, "dev1", false);
  assert.deepEqual(
    await subscribed(kept, numbered(6)),
    numbered(6).map(() => 1),
  );
  const clean = await login(server, "dev2");
  assert.deepEqual(await subscribed(clean, numbered(5, "cmd/dev2/")), [1, 1, 1, 1, 128]);
  assert.deepEqual(await subscribed(kept, ["cmd/dev1/0", "cmd/dev1/more"]), [1, 128]);
  kept.end();
  await kept.closed();
  const back = await login(server, "dev1", false);
  server.sink.isInstant = true;
  assert.deepEqual(await subscribed(back, ["cmd/dev1/5", "cmd/dev1/more"]), [1, 128]);
  clean.end();
  await clean.closed();
  assert.deepEqual(await subscribed(back, ["cmd/dev1/more"]), [1]);
  back.send(unsubscribePacket(numbered(6)));
  await back.until(() => back.of("unsuback").length === 1);
  const last = await login(server, "dev2");
  assert.deepEqual(
    await subscribed(last, numbered(10, "cmd/dev2/")),
    numbered(10).map((_, index) => (index < 9 ? 1 : 128)),
  );
  assert.equal(server.broker.status().refused["subscription-limit"], 4);
  assert.deepEqual(
    server.logged.map(({ bound, limit }) => ({ bound, limit })).find(({ bound }) => bound),
    { bound: "subscriptionsOfAllMax", limit: 10 },
  );
  for (const client of [back, last]) client.end();
});

test("a filter that is too long or has too many levels gets 0x80; the connection and its other filters stay", async () => {
  await using server = await start({ filterMaxBytes: 200, filterLevelsMax: 8 });
  const client = await RawMqtt.connected(server.port);
  const deep = `${"l/".repeat(200)}x`;
  const filters = ["f/ok", `f/${"x".repeat(199)}`, "1/2/3/4/5/6/7/8", "1/2/3/4/5/6/7/8/9", deep, "f/last"];
  assert.deepEqual(await subscribed(client, filters), [1, 128, 1, 128, 128, 1]);
  client.send(unsubscribePacket([deep, "f/ok"]));
  await client.until(() => client.of("unsuback").length === 1);
  assert.equal(client.isClosed, false);
  assert.deepEqual(server.broker.status().refused, { "subscription-limit": 3 });
  client.end();
});

test("SUBSCRIBE and UNSUBSCRIBE beyond their packet limit close the connection at the first bytes", async () => {
  await using server = await start({ subscribePacketMaxBytes: 1_000 });
  for (const first of [0x82, 0xa2]) {
    const client = await RawMqtt.connected(server.port);
    // 1,001 bytes are declared, and only a few of them sent.
    client.write(Buffer.from([first, 0xe9, 0x07, 0, 1, 0, 4, 0x66]));
    await client.closed();
  }
  const whole = await RawMqtt.connected(server.port);
  whole.send(subscribePacket(numbered(100)));
  await whole.closed();
  assert.deepEqual(server.broker.status().refused, { "packet-too-large": 3 });
});

test("a client that unsubscribes twice from a filter removes no subscription of another client", async () => {
  await using server = await start();
  server.sink.isInstant = true;
  const other = await RawMqtt.connected(server.port, { clientId: "other" });
  const hostile = await RawMqtt.connected(server.port, { clientId: "hostile" });
  for (const client of [other, hostile]) assert.deepEqual(await subscribed(client, ["fleet/#"]), [1]);
  hostile.send(unsubscribePacket(["fleet/#", "fleet/#"]), unsubscribePacket(["fleet/#"], 2));
  await hostile.until(() => hostile.of("unsuback").length === 2);
  hostile.publish("fleet/raw/telemetry", "still heard");
  await hostile.until(() => hostile.acknowledgedIds().length === 1);
  await pinged(other);
  assert.deepEqual(texts(other), ["still heard"]);
  for (const client of [other, hostile]) client.end();
});

test("UNSUBSCRIBE and SUBSCRIBE in one write: messages of the granted filter are delivered", async () => {
  await using server = await start();
  server.sink.isInstant = true;
  const client = await RawMqtt.connected(server.port);
  assert.deepEqual(await subscribed(client, ["fleet/#"]), [1]);
  client.send(unsubscribePacket(["fleet/#"]), subscribePacket(["fleet/#"], 2));
  await client.until(() => client.of("suback").length === 2);
  client.publish("fleet/raw/telemetry", "heard");
  await client.until(() => client.acknowledgedIds().length === 1);
  await pinged(client);
  assert.deepEqual([grants(client).at(-1), texts(client)], [[1], ["heard"]]);
  client.end();
});

test("many SUBSCRIBE and UNSUBSCRIBE packets in one write alternate with messages of other clients", async () => {
  await using server = await start();
  server.sink.isInstant = true;
  const bystanders = await Bystanders.start(server.port);
  const hostile = await RawMqtt.connected(server.port, { clientId: "hostile" });
  const before = bystanders.acknowledged;
  const pairs = numbered(500, "f/").flatMap((filter, index) => [
    subscribePacket([filter], index + 1),
    unsubscribePacket([filter], index + 1),
  ]);
  hostile.send(...pairs);
  await hostile.until(() => hostile.of("unsuback").length === 500);
  assert(bystanders.acknowledged > before + 50, "the other clients were not served meanwhile");
  assert.equal(hostile.of("suback").length, 500);
  const longestMs = await bystanders.stop();
  assert(longestMs < waitMaxMs, `a PUBACK took ${longestMs} ms`);
  hostile.end();
});

test("1,000 filters and 10,000 retained messages: each message is sent once, and other clients are served", async () => {
  await using server = await start();
  server.sink.isInstant = true;
  const operator = await RawMqtt.connected(server.port, { clientId: "operator" });
  const names = numbered(10_000, "cmd/all/");
  operator.send(
    ...names.map((name, index) => publishPacket(name, "x", { messageId: index + 1, retain: true })),
  );
  await operator.until(() => operator.acknowledgedIds().length === names.length);
  const bystanders = await Bystanders.start(server.port);
  const hostile = await RawMqtt.connected(server.port, { clientId: "hostile" });
  const filters = [...numbered(998, "cmd/+/none/"), "cmd/all/+", "cmd/#"];
  assert.equal((await subscribed(hostile, filters)).length, 1_000);
  await hostile.until(() => hostile.of("publish").length === names.length);
  const longestMs = await bystanders.stop();
  assert(longestMs < waitMaxMs, `a PUBACK took ${longestMs} ms`);
  await pinged(hostile);
  assert.equal(
    new Set(hostile.of("publish").map((packet) => "topic" in packet && packet.topic)).size,
    10_000,
  );
  assert.equal(hostile.of("publish").length, names.length);
  for (const client of [operator, hostile]) client.end();
});

test("10,000 idle filters cost the same for a new topic name as for a known one", async () => {
  await using server = await start();
  server.sink.isInstant = true;
  const publisher = await RawMqtt.connected(server.port, { clientId: "publisher" });
  let published = 0;
  const publishMs = async (): Promise<number> => {
    const packets = Array.from({ length: 2_000 }, (_, index) =>
      publishPacket(`fleet/new${published + index}/telemetry`, "{}", { messageId: index + 1 }),
    );
    published += packets.length;
    const beganAtMs = performance.now();
    publisher.send(...packets);
    await publisher.until(() => publisher.acknowledgedIds().length === published);
    return performance.now() - beganAtMs;
  };
  const best = async () => Math.min(await publishMs(), await publishMs(), await publishMs());
  const aloneMs = await best();
  const idle: RawMqtt[] = [];
  for (let client = 0; client < 10; client++) {
    idle.push(await RawMqtt.connected(server.port, { clientId: `idle${client}` }));
    await subscribed(idle[client] as RawMqtt, numbered(1_000, `fleet/idle${client}/`));
  }
  const besideMs = await best();
  assert(besideMs < aloneMs * 4, `${aloneMs} ms without them, ${besideMs} ms with them`);
  for (const client of [publisher, ...idle]) client.end();
});
