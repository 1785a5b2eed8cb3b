import assert from "node:assert/strict";
import { test } from "node:test";
import { createBroker } from "../../broker/index.ts";
import { LineClient } from "../support/line-client.ts";
import { LineFrontEnd } from "../support/line-front-end.ts";
import { RawMqtt } from "../support/raw-mqtt.ts";
import { type TestIngest, type TestIngestOptions, testIngest, topicRule } from "../support/test-ingest.ts";
import { until } from "../support/until.ts";
import { type ContractClient, frontEndContract, type Hello } from "./front-end-contract.ts";

async function startLines({ ingest, config }: TestIngest) {
  const frontEnd = new LineFrontEnd({ ingest, limits: config, stopTimeoutMs: config.stopTimeoutMs });
  const port = await frontEnd.listen();
  return { port, connect: (hello?: Hello) => LineClient.connect(port, hello), stop: () => frontEnd.stop() };
}

async function mqttClient(port: number, { clientId, name, secret }: Hello): Promise<ContractClient> {
  const raw = await RawMqtt.open(port);
  raw.connect({
    clientId,
    ...(name && { username: name }),
    ...(secret && { password: Buffer.from(secret) }),
  });
  let sent = 0;
  return {
    get isWelcome() {
      const [connack] = raw.of("connack");
      return connack === undefined ? null : "returnCode" in connack && connack.returnCode === 0;
    },
    get isClosed() {
      return raw.isClosed;
    },
    get acknowledged() {
      return raw.acknowledgedIds();
    },
    publish: (topic, payload) => raw.publish(topic, payload, { messageId: ++sent }),
    hangUp: () => raw.end(),
  };
}

async function startMqtt({ ingest, config, registry }: TestIngest) {
  const broker = createBroker({ config, ingest, registry });
  const { port } = await broker.listen();
  return { port, connect: (hello: Hello) => mqttClient(port, hello), stop: () => broker.stop() };
}

frontEndContract("line", startLines);
frontEndContract("MQTT", startMqtt);

const topic = "fleet/dev1/telemetry";
const anonymous = { clientId: "dev1" };

async function lines(options: TestIngestOptions = {}) {
  const core = testIngest(options);
  const frontEnd = await startLines(core);
  return {
    ...core,
    connect: frontEnd.connect,
    [Symbol.asyncDispose]: async () => {
      core.sink.settleAll();
      await frontEnd.stop();
      core.ingest.close();
    },
  };
}

test("a refusal has its code, and says whether the same message may be accepted later", async () => {
  await using core = await lines({ rules: [topicRule({ messagesPerSecond: 1 })] });
  const client = await core.connect(anonymous);
  client.say(`publish 1 ${topic} x`, `publish 2 ${topic} x`, "publish 3 cmd/dev1 x", "publish 4 nowhere x");
  await until("three are refused", () => client.answers.length === 4);
  assert.deepEqual(client.answers.slice(1), [
    "no 2 rate-exceeded later",
    "no 3 not-telemetry never",
    "no 4 unknown-topic never",
  ]);
});

test("messages above the in-flight limit are refused until others have settled", async () => {
  await using core = await lines({ config: { inFlightMax: 2 } });
  const client = await core.connect(anonymous);
  client.say(`publish 1 ${topic} x`, `publish 2 ${topic} x`, `publish 3 ${topic} x`);
  await until("one is refused", () => client.answers.includes("no 3 in-flight-limit later"));
  assert.equal(core.sink.accepted.length, 2);
  core.sink.settleAll();
  await until("two are acknowledged", () => client.acknowledged.length === 2);
  client.say(`publish 4 ${topic} x`);
  await until("the next message reaches the sink", () => core.sink.accepted.length === 1);
  assert.deepEqual(core.ingest.status().refused, { "in-flight-limit": 1 });
});

test("messages are refused above the limit of payload bytes in flight, and while the sink is full", async () => {
  await using core = await lines({ config: { inFlightMaxBytes: 128 } });
  const client = await core.connect(anonymous);
  client.say(`publish 1 ${topic} ${"x".repeat(128)}`, `publish 2 ${topic} x`);
  await until("one is refused", () => client.answers.includes("no 2 in-flight-limit later"));
  core.sink.settleAll();
  await until("one is acknowledged", () => client.acknowledged.length === 1);
  core.sink.isFull = true;
  client.say(`publish 3 ${topic} x`);
  await until("the message is refused", () => client.answers.includes("no 3 no-room later"));
  assert.deepEqual(core.ingest.status().refused, { "in-flight-limit": 1, "no-room": 1 });
});

test("a failed message affects no other message, if the protocol can say so", async () => {
  await using core = await lines();
  const client = await core.connect(anonymous);
  client.say(`publish 1 ${topic} x`, `publish 2 ${topic} x`, `publish 3 ${topic} x`);
  await until("they reach the sink", () => core.sink.accepted.length === 3);
  const [first, second, third] = core.sink.accepted;
  second?.settle(new Error("lost"));
  third?.settle();
  first?.settle();
  await until("all are answered", () => client.answers.length === 4);
  assert.deepEqual(client.answers.slice(1).toSorted(), ["no 2 not-durable later", "ok 1", "ok 3"]);
});

test("a message that is held for too long is refused, and later durable messages wait no longer", async () => {
  await using core = await lines({ config: { holdMaxMs: 50 } });
  const client = await core.connect(anonymous);
  client.say(`publish 1 ${topic} x`, `publish 2 ${topic} x`);
  await until("they reach the sink", () => core.sink.accepted.length === 2);
  core.sink.accepted[1]?.settle();
  await until("both are answered", () => client.answers.length === 3);
  assert.deepEqual(client.answers.slice(1).toSorted(), ["no 1 not-durable later", "ok 2"]);
});

test("a front end's own refusals are counted with those of the core, and exist from the start", async () => {
  await using core = await lines();
  assert.match(await core.registry.metrics(), /tidegate_broker_refused_total\{reason="line-too-long"\} 0/);
  const [long, strange, early] = [await core.connect(), await core.connect(), await core.connect()];
  long.say("x".repeat(5_000));
  strange.say("GET / HTTP/1.1");
  early.say(`publish 1 ${topic} x`);
  for (const client of [long, strange, early]) await until("the connection is cut", () => client.isClosed);
  assert.deepEqual(core.ingest.status().refused, { "line-too-long": 1, "line-malformed": 2 });
});

test("a client that does not read its answers is cut", async () => {
  await using core = await lines();
  const client = await core.connect(anonymous);
  client.socket.pause();
  const many = Array.from({ length: 2_000 }, () => "publish 1 nowhere x");
  const saidMore = setInterval(() => client.say(...many), 5);
  await until("the connection is cut", () => core.ingest.status().refused["slow-reader"] === 1);
  clearInterval(saidMore);
  client.hangUp();
});

test("two front ends on one core: an MQTT subscriber gets messages of the line front end once they are durable", async () => {
  await using core = await lines();
  const mqtt = await startMqtt(core);
  const subscriber = await RawMqtt.connected(mqtt.port, { clientId: "dashboard" });
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "fleet/#", qos: 1 }] });
  await until("the client is subscribed", () => subscriber.of("suback").length === 1);
  const client = await core.connect(anonymous);
  client.say(`publish 1 ${topic} 21.5`);
  await until("the message reaches the sink", () => core.sink.accepted.length === 1);
  assert.equal(subscriber.of("publish").length, 0);
  core.sink.settleAll();
  await until("the subscriber has the message", () => subscriber.of("publish").length === 1);
  assert.equal(String((subscriber.of("publish")[0] as { payload?: Buffer }).payload), "21.5");
  subscriber.end();
  await mqtt.stop();
});
