import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { publishPacket, RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker, type TestBroker } from "../support/test-broker.ts";

// Each sequence breaks a MUST of MQTT 3.1.1 that requires the server to close the connection [MQTT-4.8.0-1].
// Stock Aedes closes only some of them.

const bytes = (...values: (number | Uint8Array | string)[]): Buffer =>
  Buffer.concat(
    values.map((value) => (typeof value === "number" ? Buffer.from([value]) : Buffer.from(value))),
  );

/** [MQTT-1.5.3] With its length in front. */
function text(value: Uint8Array | string): Buffer {
  const content = Buffer.from(value);
  return bytes(content.length >> 8, content.length & 0xff, content);
}

function packet(first: number, ...body: (number | Uint8Array | string)[]): Buffer {
  const content = bytes(...body);
  assert(content.length < 16_384);
  const length =
    content.length < 128 ? [content.length] : [(content.length & 0x7f) | 0x80, content.length >> 7];
  return bytes(first, Buffer.from(length), content);
}

interface ConnectFields {
  name?: string;
  level?: number;
  flags?: number;
  clientId?: Uint8Array | string;
  rest?: Uint8Array;
}

function connect({
  name = "MQTT",
  level = 4,
  flags = 2,
  clientId = "c",
  rest = bytes(),
}: ConnectFields): Buffer {
  return packet(0x10, text(name), level, flags, 0, 60, text(clientId), rest);
}

const publish = (topic: Uint8Array | string, messageId = 1) => packet(0x32, text(topic), 0, messageId, "x");
const subscribe = (filter: Uint8Array | string, messageId = 1) => packet(0x82, 0, messageId, text(filter), 0);
const unsubscribe = (filter: Uint8Array | string, messageId = 1) => packet(0xa2, 0, messageId, text(filter));

const brokenTexts: Record<string, Buffer> = {
  "U+0000": bytes("a\u0000b"),
  "half a surrogate pair": bytes("a", 0xed, 0xa0, 0x80),
  "an overlong sequence": bytes("a", 0xc0, 0x80),
  "a lone byte": bytes("a", 0xff),
  "a cut sequence": bytes("a", 0xe2, 0x82),
};

function withEach(sequence: (broken: Buffer) => Buffer, name: string): [string, Buffer][] {
  return Object.entries(brokenTexts).map(([fault, broken]) => [`${name} with ${fault}`, sequence(broken)]);
}

const firstPackets: [string, Buffer][] = [
  ["PUBLISH before CONNECT", publish("fleet/a/telemetry")],
  ["PINGREQ before CONNECT", packet(0xc0)],
  ["SUBSCRIBE before CONNECT", subscribe("a")],
  ["packet type 0", packet(0x00)],
  ["packet type 15", packet(0xf0)],
  ["CONNECT with flags in its first byte", bytes(0x11, connect({}).subarray(1))],
  ["CONNECT with the reserved flag", connect({ flags: 3 })],
  ["CONNECT with another protocol name", connect({ name: "MQXX" })],
  ["CONNECT with the name of 3.1 and the level of 3.1.1", connect({ name: "MQIsdp" })],
  ["CONNECT of level 6", connect({ level: 6 })],
  ["CONNECT with will QoS 3", connect({ flags: 0x1e, rest: bytes(text("w"), text("x")) })],
  ["CONNECT with a will QoS and no will", connect({ flags: 0x0a })],
  ["CONNECT with a will retain flag and no will", connect({ flags: 0x22 })],
  ["CONNECT with a wildcard in the will topic", connect({ flags: 6, rest: bytes(text("a/#"), text("x")) })],
  ["CONNECT with an empty will topic", connect({ flags: 6, rest: bytes(text(""), text("x")) })],
  ["CONNECT with a password and no user name", connect({ flags: 0x42, rest: text("secret") })],
  ["CONNECT with a user name flag and no user name", connect({ flags: 0x82 })],
  ["CONNECT without client id and without clean session", connect({ flags: 0, clientId: "" })],
  ["CONNECT with bytes after its fields", connect({ rest: bytes("junk") })],
  ["CONNECT without a body", packet(0x10)],
  ["CONNECT cut short", packet(0x10, text("MQTT"), 4)],
  ["a length of five bytes", bytes(0x10, 0xff, 0xff, 0xff, 0xff, 0x01)],
  ...withEach((broken) => connect({ clientId: broken }), "CONNECT's client id"),
  ...withEach((broken) => connect({ flags: 0x82, rest: text(broken) }), "CONNECT's user name"),
  ...withEach(
    (broken) => connect({ flags: 6, rest: bytes(text(broken), text("x")) }),
    "CONNECT's will topic",
  ),
];

const laterPackets: [string, Buffer][] = [
  ["a second CONNECT", connect({})],
  ["CONNACK", packet(0x20, 0, 0)],
  ["SUBACK", packet(0x90, 0, 1, 0)],
  ["UNSUBACK", packet(0xb0, 0, 1)],
  ["PINGRESP", packet(0xd0)],
  ["AUTH", packet(0xf0)],
  ["PUBLISH with QoS 3", packet(0x36, text("fleet/a/telemetry"), 0, 1, "x")],
  ["PUBLISH with QoS 0 and DUP", packet(0x38, text("fleet/a/telemetry"), "x")],
  ["PUBLISH with packet id 0", publish("fleet/a/telemetry", 0)],
  ["PUBLISH with half a packet id", packet(0x32, text("fleet/a/telemetry"), 0)],
  [
    "PUBLISH without packet id, followed by a packet",
    bytes(packet(0x32, text("fleet/a/telemetry")), packet(0xc0)),
  ],
  ["PUBLISH without a body", packet(0x30)],
  ["PUBLISH shorter than its topic", packet(0x30, 0, 50, "abc")],
  ["PUBLISH with an empty topic", publish("")],
  ["PUBLISH with + in the topic", publish("fleet/+/telemetry")],
  ["PUBLISH with # in the topic", publish("fleet/#")],
  ...withEach((broken) => publish(bytes("fleet/", broken, "/telemetry")), "PUBLISH's topic"),
  ["SUBSCRIBE with flags 0", packet(0x80, 0, 1, text("a"), 0)],
  ["SUBSCRIBE with packet id 0", subscribe("a", 0)],
  ["SUBSCRIBE without filters", packet(0x82, 0, 1)],
  ["SUBSCRIBE with QoS 3", packet(0x82, 0, 1, text("a"), 3)],
  ["SUBSCRIBE with reserved bits", packet(0x82, 0, 1, text("a"), 0x81)],
  ["SUBSCRIBE without QoS", packet(0x82, 0, 1, text("a"))],
  ["SUBSCRIBE with a second filter that is malformed", packet(0x82, 0, 1, text("a"), 0, text("b#"), 0)],
  ...["", "a#", "#/a", "a/#/b", "a+", "+a", "a/+b/c", "a/b+", "##", "++"].flatMap(
    (filter): [string, Buffer][] => [
      [`SUBSCRIBE to ${JSON.stringify(filter)}`, subscribe(filter)],
      [`UNSUBSCRIBE from ${JSON.stringify(filter)}`, unsubscribe(filter)],
    ],
  ),
  ...withEach(subscribe, "SUBSCRIBE's filter"),
  ...withEach(unsubscribe, "UNSUBSCRIBE's filter"),
  ["UNSUBSCRIBE with flags 0", packet(0xa0, 0, 1, text("a"))],
  ["UNSUBSCRIBE with packet id 0", unsubscribe("a", 0)],
  ["UNSUBSCRIBE without filters", packet(0xa2, 0, 1)],
  ["PUBREL with flags 0", packet(0x60, 0, 1)],
  ...[0x40, 0x50, 0x62, 0x70].flatMap((first): [string, Buffer][] => [
    [`acknowledgement ${first.toString(16)} of packet id 0`, packet(first, 0, 0)],
    [`acknowledgement ${first.toString(16)} without packet id`, packet(first)],
    [`acknowledgement ${first.toString(16)} with bytes after its packet id`, packet(first, 0, 1, 0)],
  ]),
  ["PINGREQ with flags", packet(0xc1)],
  ["PINGREQ with a body", packet(0xc0, 1)],
  ["DISCONNECT with flags", packet(0xe1)],
  ["DISCONNECT with a body", packet(0xe0, 1)],
];

let server: TestBroker;
before(async () => {
  // During these waits only the packet can close a connection.
  server = await startBroker({ config: { connectTimeoutMs: 600_000 } });
  server.sink.isInstant = true;
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

/** Names of the sequences after which the broker left the connection open. */
async function leftOpen(
  sequences: readonly [string, Buffer][],
  open: (clientId: string) => Promise<RawMqtt>,
): Promise<string[]> {
  const outcomes = sequences.map(async ([name, sequence], index) => {
    const client = await open(`malformed${index}`);
    client.write(sequence);
    const isClosed = await client.closed(60_000).then(
      () => true,
      () => false,
    );
    client.end();
    return isClosed ? [] : [name];
  });
  return (await Promise.all(outcomes)).flat();
}

test("malformed first packets close the connection", async () => {
  assert.deepEqual(await leftOpen(firstPackets, () => RawMqtt.open(server.port)), []);
});

test("malformed packets of a connected client close the connection, and nothing in them is filed", async () => {
  const open = (clientId: string) => RawMqtt.connected(server.port, { clientId });
  assert.deepEqual(await leftOpen(laterPackets, open), []);
  assert.equal(server.sink.accepted.length, 0);
});

test("each malformed packet is counted, and other clients continue", async () => {
  const { refused } = server.broker.status();
  const counted = Object.values(refused).reduce((sum, count) => sum + count, 0);
  assert.equal(counted, firstPackets.length + laterPackets.length, JSON.stringify(refused));
  const client = await RawMqtt.connected(server.port);
  client.send(publishPacket("fleet/raw/telemetry", "x"));
  await client.until(() => client.acknowledgedIds().length === 1);
  client.end();
});
