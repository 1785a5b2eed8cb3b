import {
  bytes,
  connect,
  connectAs,
  packet,
  packetLength,
  publish,
  subscribe,
  text,
  unsubscribe,
} from "./mqtt-bytes.ts";

/**
 * The required answer of the broker: close the connection, or answer SUBSCRIBE and grant at most so many
 * filters.
 */
export type HostileAnswer =
  | { readonly kind: "closed" }
  | { readonly kind: "granted"; readonly atMost: number };

/** Bytes of one hostile connection. */
export interface HostileSequence {
  readonly kind: string;
  /** True: a right CONNECT comes first, and was answered. */
  readonly isConnected: boolean;
  readonly bytes: Uint8Array;
  readonly answer: HostileAnswer;
}

/** Topic filters of one client, by default. */
const filtersMax = 1_000;
const filtersTooMany = 3_000;
const filterTooLong = 50_000;
const levelsTooMany = 20_000;
const declaredTooLarge = 200_000_000;
const garbageBytes = 2_000;

/** CONNECT, SUBSCRIBE and UNSUBSCRIBE that ask for too much or are malformed: each kind once. */
export function hostileSequences(random: () => number): HostileSequence[] {
  return [
    ...firstPackets(random).map(([kind, data]) => closed(kind, data, false)),
    ...malformedPackets().map(([kind, data]) => closed(kind, data, true)),
    granted("SUBSCRIBE with 3,000 filters", numbered(filtersTooMany), filtersMax),
    granted("SUBSCRIBE with a filter of 50,000 bytes", [`f/${"x".repeat(filterTooLong)}`], 0),
    granted("SUBSCRIBE with a filter of 20,000 levels", [`${"l/".repeat(levelsTooMany)}x`], 0),
    granted(
      "SUBSCRIBE with one filter 10,000 times",
      Array.from({ length: 10_000 }, () => "f/+"),
      filtersMax * 10,
    ),
  ];
}

function firstPackets(random: () => number): [string, Buffer][] {
  const garbage = Buffer.from(Array.from({ length: garbageBytes }, () => Math.floor(random() * 256)));
  // No first byte of chance is a CONNECT's.
  garbage[0] = 0xff;
  return [
    ["bytes of chance", garbage],
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["CONNECT with another protocol name", connect({ name: "MQXX" })],
    ["CONNECT of level 6", connect({ level: 6 })],
    ["CONNECT with the reserved flag", connect({ flags: 3 })],
    ["CONNECT that declares 200 MB", bytes(0x10, packetLength(declaredTooLarge), text("MQTT"))],
    ["CONNECT with a client id of 60,000 bytes", connect({ clientId: "c".repeat(60_000) })],
    ["CONNECT with a client id that is no UTF-8", connect({ clientId: bytes("c", 0xff) })],
    ["CONNECT with a wildcard in the will topic", connect({ flags: 6, rest: bytes(text("a/#"), text("x")) })],
    ["CONNECT that never ends", connect({}).subarray(0, 9)],
    ["a length of five bytes", bytes(0x10, Buffer.alloc(4, 0xff), 1)],
    ["SUBSCRIBE before CONNECT", subscribe(["a"])],
    ["PUBLISH before CONNECT", publish("a", Buffer.alloc(0), { packetId: 1 })],
    ["a wrong password", connectAs("nobody", "wrong", "wrong-password")],
  ];
}

function malformedPackets(): [string, Buffer][] {
  return [
    ["UNSUBSCRIBE without filters", packet(0xa2, 0, 1)],
    ["UNSUBSCRIBE with flags 0", packet(0xa0, 0, 1, text("a"))],
    ["UNSUBSCRIBE with packet id 0", unsubscribe(["a"], 0)],
    ["UNSUBSCRIBE from a malformed filter", unsubscribe(["a/#/b"])],
    ["UNSUBSCRIBE that is no UTF-8", unsubscribe([bytes("a", 0xc0, 0x80)])],
    ["UNSUBSCRIBE shorter than its filter", packet(0xa2, 0, 1, 0, 50, "abc")],
    ["UNSUBSCRIBE beyond its packet's limit", unsubscribe(Array.from({ length: 10_000 }, () => "f/filter"))],
    ["SUBSCRIBE without filters", packet(0x82, 0, 1)],
    ["SUBSCRIBE with QoS 3", packet(0x82, 0, 1, text("a"), 3)],
    ["SUBSCRIBE to a malformed filter", subscribe(["a", "b+"])],
    ["SUBSCRIBE to U+0000", subscribe(["a\u0000b"])],
    ["SUBSCRIBE that declares 200 MB", bytes(0x82, packetLength(declaredTooLarge), 0, 1)],
    ["a second CONNECT", connect({})],
    ["SUBACK from a client", packet(0x90, 0, 1, 0)],
  ];
}

function closed(kind: string, data: Uint8Array, isConnected: boolean): HostileSequence {
  return { kind, isConnected, bytes: data, answer: { kind: "closed" } };
}

function granted(kind: string, filters: readonly string[], atMost: number): HostileSequence {
  return { kind, isConnected: true, bytes: subscribe(filters), answer: { kind: "granted", atMost } };
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `prove/f${index}/+`);
}
