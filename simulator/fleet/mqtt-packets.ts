// The part of MQTT 3.1.1 that a publisher needs. A packet's bytes are few and known, so no allocation per
// message.
import type { Qos } from "../scenario/scenario.ts";

/** First byte of each control packet, §2.2. */
const packet = {
  connect: 0x10,
  connack: 0x20,
  publish: 0x30,
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
  pubcomp: 0x70,
  pingresp: 0xd0,
} as const;

export const pingreqPacket: Uint8Array = Uint8Array.of(0xc0, 0);
export const disconnectPacket: Uint8Array = Uint8Array.of(0xe0, 0);

export const dupFlag = 0x08;

export interface Will {
  readonly topicName: Uint8Array;
  readonly payload: Uint8Array;
  readonly qos: Qos;
}

export interface ConnectOptions {
  readonly clientId: string;
  readonly keepAliveS: number;
  readonly username?: string;
  readonly password?: Uint8Array;
  /** Clean Session = 0. The fleet's own window resends messages in any case. */
  readonly isPersistent?: boolean;
  readonly will?: Will;
}

/** §3.1.2.3: each flag of CONNECT, by its bit. */
const connectFlag = { cleanSession: 0x02, will: 0x04, password: 0x40, username: 0x80 } as const;

export function encodeConnect(options: ConnectOptions): Uint8Array {
  const { username, password, isPersistent = false, will } = options;
  const flags =
    (isPersistent ? 0 : connectFlag.cleanSession) |
    (will === undefined ? 0 : connectFlag.will | (will.qos << 3)) |
    (username === undefined ? 0 : connectFlag.username) |
    (password === undefined ? 0 : connectFlag.password);
  const body = Buffer.concat([
    lengthPrefixed(Buffer.from("MQTT")),
    Buffer.from([4, flags, options.keepAliveS >>> 8, options.keepAliveS & 0xff]),
    lengthPrefixed(Buffer.from(options.clientId)),
    ...(will === undefined ? [] : [lengthPrefixed(will.topicName), lengthPrefixed(will.payload)]),
    ...(username === undefined ? [] : [lengthPrefixed(Buffer.from(username))]),
    ...(password === undefined ? [] : [lengthPrefixed(password)]),
  ]);
  return Buffer.concat([Buffer.from([packet.connect, ...remainingLength(body.length)]), body]);
}

/**
 * Head of a PUBLISH without DUP and RETAIN, up to the topic name. Two bytes for the packet identifier follow,
 * except for QoS 0.
 */
export function publishHead(qos: Qos, topicName: Uint8Array, payloadBytes: number): Uint8Array {
  const identifierBytes = qos === 0 ? 0 : 2;
  const remaining = 2 + topicName.length + identifierBytes + payloadBytes;
  return Buffer.concat([
    Buffer.from([packet.publish | (qos << 1), ...remainingLength(remaining)]),
    lengthPrefixed(topicName),
    Buffer.alloc(identifierBytes),
  ]);
}

/** §3.6: PUBREL tells the receiver of a QoS 2 message to forget the identifier. */
export function pubrelPacket(packetId: number): Uint8Array {
  return Uint8Array.of(packet.pubrel, 2, packetId >>> 8, packetId & 0xff);
}

/** §2.2.3: seven bits a byte, the lowest first. */
function remainingLength(length: number): number[] {
  const bytes: number[] = [];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

/** §2.2.3: the largest packet body. */
export const remainingLengthMax = 268_435_455;

function lengthPrefixed(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([bytes.length >>> 8, bytes.length & 0xff]), bytes]);
}

/** Receives each packet that a server may send to a publisher without subscriptions. */
export interface PacketListener {
  onConnack(returnCode: number, isSessionPresent: boolean): void;
  onPuback(packetId: number): void;
  onPubrec(packetId: number): void;
  onPubcomp(packetId: number): void;
}

/** None of those packets is longer. */
const packetBytesMax = 4;

/** Splits a server's bytes into packets, across read chunks. */
export class PacketReader {
  readonly #partial = new Uint8Array(packetBytesMax);
  #partialBytes = 0;

  /**
   * Reads a chunk, without keeping any of it. Returns the fault, after which the connection must be closed.
   */
  read(chunk: Uint8Array, length: number, listener: PacketListener): string | null {
    let at = 0;
    while (this.#partialBytes > 0 && at < length) {
      this.#partial[this.#partialBytes++] = chunk[at++] as number;
      const taken = readPacket(this.#partial, 0, this.#partialBytes, listener);
      if (typeof taken === "string") return taken;
      if (taken > 0) this.#partialBytes = 0;
    }
    while (at < length) {
      const taken = readPacket(chunk, at, length, listener);
      if (typeof taken === "string") return taken;
      if (taken === 0) break;
      at += taken;
    }
    for (; at < length; at++) this.#partial[this.#partialBytes++] = chunk[at] as number;
    return null;
  }
}

/** Bytes of the packet at `at`, 0 if it is not whole yet, or the fault. */
function readPacket(bytes: Uint8Array, at: number, end: number, listener: PacketListener): number | string {
  const first = bytes[at] as number;
  if (!receivable.has(first))
    return `the server sent a packet that begins with 0x${first.toString(16).padStart(2, "0")}, which was not requested`;
  if (at + 1 >= end) return 0;
  const bodyBytes = first === packet.pingresp ? 0 : 2;
  if (bytes[at + 1] !== bodyBytes) return `the server sent an acknowledgement of ${bytes[at + 1]} bytes`;
  if (at + 2 + bodyBytes > end) return 0;
  const packetId = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  if (first === packet.puback) listener.onPuback(packetId);
  else if (first === packet.pubrec) listener.onPubrec(packetId);
  else if (first === packet.pubcomp) listener.onPubcomp(packetId);
  else if (first === packet.connack) listener.onConnack(bytes[at + 3] as number, bytes[at + 2] === 1);
  return 2 + bodyBytes;
}

const receivable: ReadonlySet<number> = new Set([
  packet.connack,
  packet.puback,
  packet.pubrec,
  packet.pubcomp,
  packet.pingresp,
]);
