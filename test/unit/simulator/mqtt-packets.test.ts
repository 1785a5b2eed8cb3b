import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import mqttPacket, { type Packet } from "mqtt-packet";
import { encodeConnect, PacketReader } from "../../../simulator/fleet/mqtt-packets.ts";
import { PublishEncoder } from "../../../simulator/fleet/publish-encoder.ts";
import { MessagePlan } from "../../../simulator/scenario/message-plan.ts";
import { scenarioOf } from "./scenario-of.ts";

/** What an independent parser makes of the bytes. */
function parse(bytes: Uint8Array): Packet[] {
  const packets: Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  parser.on("packet", (packet) => packets.push(packet));
  parser.on("error", (error: Error) => {
    throw error;
  });
  assert.equal(parser.parse(Buffer.from(bytes)), 0);
  return packets;
}

test("a CONNECT says who connects, with a clean session", () => {
  const [anonymous] = parse(encodeConnect({ clientId: "simulator-ü", keepAliveS: 60 }));
  assert.ok(anonymous?.cmd === "connect");
  assert.deepEqual(
    [
      anonymous.clientId,
      anonymous.clean,
      anonymous.keepalive,
      anonymous.protocolVersion,
      anonymous.username,
      anonymous.password,
    ],
    ["simulator-ü", true, 60, 4, undefined, undefined],
  );
  const long = "x".repeat(300);
  const [known] = parse(
    encodeConnect({ clientId: long, keepAliveS: 1000, username: "edge", password: Buffer.from("key") }),
  );
  assert.ok(known?.cmd === "connect");
  assert.deepEqual(
    [known.clientId, known.keepalive, known.username, known.password?.toString()],
    [long, 1000, "edge", "key"],
  );
});

test("a PUBLISH carries topic, identifier, DUP and document, at any length and side by side with others", () => {
  for (const qos of [0, 1, 2] as const) {
    for (const payloadBytes of [60, 100, 128, 16_383, 70_000]) {
      const plan = new MessagePlan(scenarioOf({ qos, payloadBytes }));
      const encoder = new PublishEncoder(plan, 1_790_000_000_000);
      const packetBytes = encoder.bytes(10);
      const bytes = Buffer.alloc(packetBytes * 3);
      const packetIds = [1, 256, 65_535];
      packetIds.forEach((id, at) => {
        assert.equal(encoder.write(bytes, at * packetBytes, 10 + at, id, at === 1), packetBytes);
      });
      const packets = parse(bytes);
      assert.equal(packets.length, 3);
      packets.forEach((packet, at) => {
        assert.ok(packet.cmd === "publish");
        const document = Buffer.alloc(plan.document.bytes);
        plan.writeDocument(document, 0, 10 + at, 1_790_000_000_000);
        assert.deepEqual(packet.payload, document);
        assert.equal(packet.topic, plan.names.topicName(plan.device(10 + at)));
        assert.deepEqual(
          [packet.qos, packet.dup, packet.retain, packet.messageId],
          [qos, at === 1, false, qos > 0 ? packetIds[at] : undefined],
        );
      });
    }
  }
});

type Seen =
  | { connack: number; session: boolean }
  | { puback: number }
  | { pubrec: number }
  | { pubcomp: number };

const serverPackets = fc.array(
  fc.oneof(
    fc
      .tuple(fc.nat({ max: 255 }), fc.boolean())
      .map(([code, session]): [Seen, number[]] => [
        { connack: code, session },
        [0x20, 2, Number(session), code],
      ]),
    fc.nat({ max: 65_535 }).map((id): [Seen, number[]] => [{ puback: id }, [0x40, 2, id >>> 8, id & 0xff]]),
    fc.nat({ max: 65_535 }).map((id): [Seen, number[]] => [{ pubrec: id }, [0x50, 2, id >>> 8, id & 0xff]]),
    fc.nat({ max: 65_535 }).map((id): [Seen, number[]] => [{ pubcomp: id }, [0x70, 2, id >>> 8, id & 0xff]]),
    fc.constant([null, [0xd0, 0]] as [null, number[]]),
  ),
);

test("the same packets are read, however the network cuts them", () => {
  fc.assert(
    fc.property(serverPackets, fc.infiniteStream(fc.integer({ min: 1, max: 7 })), (packets, cuts) => {
      const bytes = Uint8Array.from(packets.flatMap(([, packet]) => packet));
      const seen: Seen[] = [];
      const listener = {
        onConnack: (code: number, session: boolean) => seen.push({ connack: code, session }),
        onPuback: (id: number) => seen.push({ puback: id }),
        onPubrec: (id: number) => seen.push({ pubrec: id }),
        onPubcomp: (id: number) => seen.push({ pubcomp: id }),
      };
      const reader = new PacketReader();
      const chunk = new Uint8Array(8);
      for (let at = 0; at < bytes.length; ) {
        const length = Math.min(cuts.next().value, bytes.length - at);
        // The rest of the chunk is what was read before, as in the buffer that all sockets share.
        chunk.fill(0x40);
        chunk.set(bytes.subarray(at, at + length));
        assert.equal(reader.read(chunk, length, listener), null);
        at += length;
      }
      assert.deepEqual(
        seen,
        packets.flatMap(([packet]) => packet ?? []),
      );
    }),
  );
});

test("what no server sends to a publisher is told, also when it comes in pieces", () => {
  const listener = { onConnack() {}, onPuback() {}, onPubrec() {}, onPubcomp() {} };
  for (const bytes of [
    [0x30, 2],
    [0x00],
    [0x40, 3, 0, 1, 0],
    [0xd0, 1, 0],
    [0x20, 0],
    [0x90, 3, 0, 1, 0],
    [0x41, 2, 0, 1],
    [0x50, 3, 0, 1, 0],
    [0x62, 2, 0, 1],
  ]) {
    const whole = new PacketReader().read(Uint8Array.from(bytes), bytes.length, listener);
    assert.equal(typeof whole, "string", String(bytes));
    const reader = new PacketReader();
    assert.ok(bytes.some((byte) => reader.read(Uint8Array.of(byte), 1, listener) !== null));
  }
});
