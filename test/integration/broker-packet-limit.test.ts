import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import mqttPacket, { type Packet } from "mqtt-packet";
import { publishPacket, RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, type TestBroker, topicRule } from "../support/test-broker.ts";

// One limit holds for CONNECT only, the other for all later packets. Both compare the length that the packet
// declares (its remaining length [MQTT-2.2.3]), however many reads the packet takes to arrive.

const topic = "fleet/raw/telemetry";
const limits = { connectPacketMaxBytes: 300, packetMaxBytes: 3_000 };

let server: TestBroker;
before(async () => {
  server = await startBroker({ config: limits, rules: [topicRule({ maxPayloadBytes: 1_000_000 })] });
  server.sink.isInstant = true;
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

/** A packet of `remaining` bytes after its fixed header. */
function sized(packetOf: (filling: string) => Packet, remaining: number): Buffer {
  const declared = (bytes: Buffer) => bytes.length - 1 - (bytes.length > 129 ? 2 : 1);
  const empty = declared(mqttPacket.generate(packetOf("")));
  const bytes = mqttPacket.generate(packetOf("x".repeat(remaining - empty)));
  assert.equal(declared(bytes), remaining);
  return bytes;
}

const connectOf = (filling: string): Packet =>
  ({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    clientId: "raw",
    keepalive: 60,
    will: { topic, payload: Buffer.from(filling), qos: 0, retain: false },
  }) as Packet;
const publishOf = (filling: string): Packet => publishPacket(topic, filling);

/**
 * Where the bytes are cut into writes: nowhere, after the length, in the length, in the middle, before the
 * last byte.
 */
const cuts = {
  whole: [],
  "after the length": [3],
  "in the length": [2],
  halves: [150],
  "all but a byte": [-1],
};

async function send(client: RawMqtt, bytes: Buffer, at: readonly number[]): Promise<void> {
  let start = 0;
  for (const cut of at) {
    const end = cut < 0 ? bytes.length + cut : cut;
    client.write(bytes.subarray(start, end));
    start = end;
    // Makes another read likely; the test can't force one.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  client.write(bytes.subarray(start));
}

for (const [name, at] of Object.entries(cuts)) {
  test(`CONNECT of the largest size is accepted, one byte more is refused: ${name}`, async () => {
    const refused = server.broker.status().refused["packet-too-large"] ?? 0;
    const fitting = await RawMqtt.open(server.port);
    await send(fitting, sized(connectOf, limits.connectPacketMaxBytes), at);
    await fitting.until(() => fitting.of("connack").length === 1);
    fitting.send({ cmd: "disconnect" } as never);
    const larger = await RawMqtt.open(server.port);
    await send(larger, sized(connectOf, limits.connectPacketMaxBytes + 1), at);
    await larger.closed();
    assert.deepEqual(larger.packets, []);
    assert.equal(server.broker.status().refused["packet-too-large"], refused + 1);
  });

  test(`PUBLISH of the largest size is accepted, one byte more is refused: ${name}`, async () => {
    const refused = server.broker.status().refused["packet-too-large"] ?? 0;
    server.sink.accepted.length = 0;
    const client = await RawMqtt.connected(server.port);
    await send(client, sized(publishOf, limits.packetMaxBytes), at);
    await client.until(() => client.acknowledgedIds().length === 1);
    await send(client, sized(publishOf, limits.packetMaxBytes + 1), at);
    await client.closed();
    assert.equal(server.sink.accepted.length, 1);
    assert.equal(server.broker.status().refused["packet-too-large"], refused + 1);
  });
}

test("packets after CONNECT in the same write are compared with the limit for later packets", async () => {
  const refused = server.broker.status().refused["packet-too-large"] ?? 0;
  server.sink.accepted.length = 0;
  const connect = mqttPacket.generate(connectOf(""));
  const client = await RawMqtt.open(server.port);
  client.write(Buffer.concat([connect, sized(publishOf, limits.packetMaxBytes)]));
  await client.until(() => client.acknowledgedIds().length === 1);
  client.send({ cmd: "disconnect" } as never);
  const larger = await RawMqtt.open(server.port);
  larger.write(Buffer.concat([connect, sized(publishOf, limits.packetMaxBytes + 1)]));
  await larger.closed();
  assert.equal(server.broker.status().refused["packet-too-large"], refused + 1);
});

/**
 * Opens 60 connections on a thread of its own, so that the broker runs between its CONNACK and the client's
 * answer.
 */
const largePublisher = `
const { connect } = require("node:net");
const { parentPort, workerData: { port, connects, publishes } } = require("node:worker_threads");
let left = connects.length;
const lengths = [];
connects.forEach((bytes, index) => {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(bytes));
  let received = 0;
  socket.on("data", (data) => {
    if (received === 0) socket.write(publishes[index]);
    received += data.length;
    if (received === 8) socket.destroy();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    lengths.push(received);
    if (--left === 0) parentPort.postMessage(lengths);
  });
});`;

test("a large PUBLISH right after CONNACK is acknowledged, every time", async () => {
  await using roomy = await startBroker({ rules: [topicRule({ maxPayloadBytes: 200_000 })] });
  roomy.sink.isInstant = true;
  const indexes = Array.from({ length: 60 }, (_, index) => index);
  const publisher = new Worker(largePublisher, {
    eval: true,
    workerData: {
      port: roomy.port,
      connects: indexes.map((index) =>
        mqttPacket.generate({ ...connectOf(""), clientId: `raw${index}` } as Packet),
      ),
      publishes: indexes.map((index) => mqttPacket.generate(publishOf("x".repeat(70_000 + index * 1_000)))),
    },
  });
  const [lengths] = (await once(publisher, "message")) as [number[]];
  await publisher.terminate();
  // CONNACK and PUBACK.
  assert.deepEqual(
    lengths,
    indexes.map(() => 8),
  );
  assert.deepEqual(roomy.broker.status().refused, {});
});
