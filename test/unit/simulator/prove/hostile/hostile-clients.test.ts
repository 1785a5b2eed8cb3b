import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { joinedStatistics } from "../../../../../simulator/prove/foreign/joined-statistics.ts";
import { Bystander } from "../../../../../simulator/prove/hostile/bystander.ts";
import { HostileBook } from "../../../../../simulator/prove/hostile/hostile-book.ts";
import { payloadBytesMax } from "../../../../../simulator/prove/hostile/hostile-json.ts";
import { hostileMessages, refusedMessages } from "../../../../../simulator/prove/hostile/hostile-messages.ts";
import { publishHostile } from "../../../../../simulator/prove/hostile/hostile-publisher.ts";
import { hostileSequences } from "../../../../../simulator/prove/hostile/hostile-sequences.ts";
import { HostileSubscribers } from "../../../../../simulator/prove/hostile/hostile-subscriber.ts";
import { bytes, packet, packetLength } from "../../../../../simulator/prove/hostile/mqtt-bytes.ts";
import { seededRandom } from "../../../../../simulator/prove/seeded-random.ts";

const messagesOf = (seed: number) => hostileMessages("hostile-1", { random: seededRandom(seed), nowMs: 1 });

test("a seed names one set of hostile messages, each under a name of its own that the lake tells from the fleet's", () => {
  const messages = messagesOf(1);
  assert.deepEqual(messages, messagesOf(1));
  assert.notDeepEqual(messages, messagesOf(2));
  assert.equal(new Set(messages.map(({ topic }) => topic)).size, messages.length);
  for (const { topic, payload, kind } of messages) {
    assert.match(topic, /^(hostile|prove)\/hostile-1-\d+\//);
    assert(payload.length <= payloadBytesMax, kind);
  }
  const [tooLarge] = refusedMessages("hostile-1");
  assert.equal(tooLarge?.payload.length, payloadBytesMax + 1);
});

const message = (topic: string, isUnfilable = false) => ({
  ...{ topic, kind: "nested", payload: Buffer.from("{}"), isUnfilable },
});

test("a hostile message that vanishes, is filed twice, or is filed though nothing can be read of it, is found", () => {
  const book = new HostileBook();
  for (const [topic, isAcknowledged, isSentOnce] of [
    ["kept", true, true],
    ["gone", true, true],
    ["resent", true, false],
    ["twice", true, true],
    ["unheard", false, true],
  ] as const)
    book.published({ message: message(topic), isAcknowledged, isSentOnce });
  book.published({ message: message("nonsense", true), isAcknowledged: true, isSentOnce: true });
  book.refused();
  const row = (filed: number, quarantined: number) => ({ filed, quarantined });
  const rows = new Map([
    ["kept", row(0, 1)],
    ["resent", row(0, 2)],
    ["twice", row(1, 1)],
    ["nonsense", row(1, 0)],
  ]);
  assert.equal(book.isFiled(rows), false);
  const { faults, ...counts } = book.verdict(rows);
  assert.deepEqual(faults, [
    "1 hostile messages were acknowledged and are in no table nor in _quarantine: nested (gone)",
    "1 hostile messages were sent once and filed twice: nested (twice)",
    "1 hostile messages are in a table, though nothing can be read of them: nested (nonsense)",
  ]);
  assert.deepEqual(counts, { published: 6, acknowledged: 5, refused: 1, filed: 2, quarantined: 4 });
  assert.equal(book.isFiled(new Map([...rows, ["gone", row(0, 1)]])), true);
});

/** Lets everybody in, and answers each further packet with `answer`; nothing is ever closed. */
async function withServer(answer: Uint8Array, use: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(Buffer.from([0x20, 2, 0, 0]));
      socket.on("data", () => socket.write(answer));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

test("a broker that closes no hostile connection and grants every filter is told of each", async () => {
  const grants = packet(0x90, 0, 1, Buffer.alloc(20_000));
  await withServer(grants, async (port) => {
    const subscribers = new HostileSubscribers();
    const { harms, connections } = await subscribers.strike({
      port,
      random: seededRandom(1),
      timeoutMs: 200,
    });
    subscribers.end();
    const sequences = hostileSequences(seededRandom(1));
    assert.equal(harms.length, sequences.length);
    assert(connections > sequences.length);
    assert(harms.includes("SUBSCRIBE with 3,000 filters: 20000 filters were granted"));
    assert(harms.includes("a wrong password: the connection stayed open"));
  });
});

test("a broker that acknowledges nothing, or what it must refuse, is told of it", async () => {
  const gateway = (mqttPort: number) => ({ mqttPort, status: async () => null });
  const options = { random: seededRandom(1), strike: 1, timeoutMs: 2_000 };
  await withServer(bytes(0x40, 2, 0, 1), async (port) => {
    const book = new HostileBook();
    const { harms, published, acknowledged } = await publishHostile({
      ...options,
      gateway: gateway(port),
      book,
    });
    assert.equal(acknowledged, 1);
    assert.equal(harms.filter((harm) => /was not acknowledged in time/.test(harm)).length, published - 1);
    assert(harms.includes("U+0000 in the name was acknowledged"));
  });
});

test("a client that gets no answer while others are hostile is told", async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(Buffer.from([0x20, 2, 0, 0]));
      socket.once("data", () => socket.destroy());
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const book = new HostileBook();
  const { port } = server.address() as AddressInfo;
  const other = Bystander.start(port, { name: "hostile-other", book, withinMs: 500 });
  assert.equal((await other.stop()).harm, "another client got no PUBACK in 0.5 s");
  assert(connections > 1);
  assert.equal(book.verdict(new Map()).published, 1);
  server.close();
});

test("a packet's length has as many digits as it needs", () => {
  for (const [length, digits] of [
    [0, "00"],
    [127, "7f"],
    [128, "8001"],
    [16_383, "ff7f"],
    [268_435_455, "ffffff7f"],
  ] as const)
    assert.equal(packetLength(length).toString("hex"), digits);
});

test("merged files have the bounds of all their sources, and no bounds if one source has none", () => {
  const part = (stats: unknown) => ({ stats: JSON.stringify(stats) });
  const first = {
    ...{ numRecords: 2, minValues: { a: 1, t: "b", x: 1 }, maxValues: { a: 5, t: "b\u{10000}", x: 2 } },
    nullCount: { a: 0, t: 0, x: 0 },
  };
  const second = {
    ...{ numRecords: 3, minValues: { a: -2, t: "c" }, maxValues: { a: 4, t: "b\uffff" } },
    nullCount: { a: 1, t: 2 },
  };
  const empty = { numRecords: 1, minValues: {}, maxValues: {}, nullCount: { a: 1, t: 1, x: 1 } };
  assert.deepEqual(JSON.parse(joinedStatistics([first, second, empty].map(part)) ?? ""), {
    numRecords: 6,
    minValues: { a: -2, t: "b" },
    maxValues: { a: 5, t: "b\u{10000}" },
    nullCount: { a: 2, t: 3 },
  });
  assert.equal(joinedStatistics([part(first), {}]), null);
});
