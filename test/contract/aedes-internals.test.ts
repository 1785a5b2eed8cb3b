import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { Aedes } from "aedes";
import { BrokerError } from "../../broker/index.ts";
import {
  type AedesClient,
  aedesVersion,
  checkAedesVersion,
  holdReading,
  interceptPackets,
  resumeReading,
} from "../../broker/mqtt/aedes/aedes-client.ts";

/** The acknowledgement path uses internals of Aedes; this test fails if another version changed them. */
test("Aedes has the internals that the acknowledgement path uses", async () => {
  const aedes = await Aedes.createBroker();
  checkAedesVersion(aedes);
  const [, serverSide] = duplexPair();
  const client = aedes.handle(serverSide as never) as unknown as AedesClient;
  assert.equal(client._parser.listeners("packet").length, 1);
  assert.equal(typeof client._parser.parse, "function");
  assert.equal(client._parser.packet.length, -1);
  assert.equal(client._parsingBatch, 1);
  assert.equal(client._keepaliveTimer, null);
  assert.equal(client._keepaliveInterval, -1);
  assert.equal(client._parser._list.length, 0);
  assert.deepEqual([client.will, client._disconnected], [null, false]);
  client.pause();
  assert.equal(client._paused, true);
  client.resume();
  assert.equal(client._paused, false);
  client.close();
  await new Promise<void>((resolve) => aedes.close(resolve));
});

test("the parser reports a packet with the end of its fields, and reads a missing field from the bytes after it", async () => {
  const aedes = await Aedes.createBroker();
  const [clientSide, serverSide] = duplexPair();
  const client = aedes.handle(serverSide as never) as unknown as AedesClient;
  const seen: unknown[] = [];
  interceptPackets(client, {
    take: (packet, parsedBytes) => seen.push([packet.cmd, packet.length, parsedBytes]),
    broken: (fault) => seen.push(fault.message),
  });
  // PUBLISH of "t" without packet identifier, PINGREQ, PUBACK with a byte too many, a packet type that does
  // not exist.
  clientSide.write(Buffer.from([0x32, 3, 0, 1, 0x74, 0xc0, 0, 0x40, 3, 0, 1, 9, 0]));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(seen.slice(0, 3), [
    ["publish", 3, 5],
    ["pingreq", 0, 0],
    ["puback", 3, 2],
  ]);
  client.close();
  await new Promise<void>((resolve) => aedes.close(resolve));
});

test("bytes after a packet can be held back and passed on whole, while Aedes believes that it reads", async () => {
  const aedes = await Aedes.createBroker();
  const [clientSide, serverSide] = duplexPair();
  const client = aedes.handle(serverSide as never) as unknown as AedesClient;
  const seen: string[] = [];
  let readOn = () => {};
  interceptPackets(client, {
    take: (packet) => {
      seen.push(packet.cmd);
      if (seen.length === 1) readOn = holdReading(client);
    },
    broken: (fault) => seen.push(fault.message),
  });
  const ping = [0xc0, 0];
  clientSide.write(Buffer.from([...ping, ...ping, ...ping]));
  await new Promise((resolve) => setImmediate(resolve));
  client.resume();
  clientSide.write(Buffer.from(ping));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([seen.length, client._parser._list.length], [1, 0]);
  readOn();
  resumeReading(client);
  assert.equal(seen.length, 4);
  client.close();
  // Aedes has stopped listening by now.
  client._parser.parse(Buffer.from(ping));
  assert.equal(seen.length, 5);
  await new Promise<void>((resolve) => aedes.close(resolve));
});

test("Aedes drops a message as a duplicate if a later one overtakes it: messages must be published in turn", async () => {
  const aedes = await Aedes.createBroker();
  const [, serverSide] = duplexPair();
  const client = aedes.handle(serverSide as never) as unknown as AedesClient & {
    deliver0(packet: object, done: () => void): void;
    connected: boolean;
  };
  const forwarded: number[] = [];
  aedes.authorizeForward = (_, packet) => {
    forwarded.push((packet as unknown as { brokerCounter: number }).brokerCounter);
    return null;
  };
  for (const brokerCounter of [8, 9, 7])
    client.deliver0({ brokerId: aedes.id, brokerCounter, topic: "t", payload: "" }, () => {});
  assert.deepEqual(forwarded, [8, 9]);
  const { publish, subscribe, unsubscribe } = aedes;
  assert.deepEqual([publish.length, subscribe.length, unsubscribe.length], [3, 3, 3]);
  assert.equal(Object.getPrototypeOf(client.subscriptions), null);
  client.close();
  await new Promise<void>((resolve) => aedes.close(resolve));
});

test("another version of Aedes is refused with AEDES_UNSUPPORTED", () => {
  assert.throws(
    () => checkAedesVersion({ version: "2.0.0" }),
    (error) =>
      error instanceof BrokerError &&
      error.code === "AEDES_UNSUPPORTED" &&
      error.message.includes(aedesVersion),
  );
});
