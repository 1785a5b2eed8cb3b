import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import mqttPacket, { type Packet } from "mqtt-packet";
import { framesOf, packetType } from "../../../simulator/prove/hostile/mqtt-frames.ts";
import { until } from "../until.ts";
import type { HostilePacket } from "./hostile-packets.ts";

const pingreq = Buffer.from([0xc0, 0]);
const typeOf = { connack: 2, puback: 4, pubrec: 5, suback: 9, pingreq: 12, pingresp: 13, disconnect: 14 };

export interface PacketOutcome {
  /**
   * closed = by the broker; answered = a later PINGREQ was answered; unfinished = the broker waited for
   * more, and closed after our end.
   */
  readonly kind: "closed" | "answered" | "unfinished";
  /** The broker must have counted the reason. */
  readonly isRefusalDue: boolean;
  /** PUBACKs and PUBRECs. */
  readonly acknowledged: number;
}

class Peer {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (data) => {
      this.received = Buffer.concat([this.received, data]);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  count(type: number): number {
    return framesOf(this.received).packets.filter(({ first }) => packetType(first) === type).length;
  }
}

/** Sends the packet on a connection of its own. Throws if the broker neither answers nor closes. */
export async function sendPacket(
  port: number,
  clientId: string,
  { isFirst, bytes, pieceBytes }: HostilePacket,
): Promise<PacketOutcome> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const peer = new Peer(socket);
  if (!isFirst) await introduce(peer, clientId);
  const { packets, restBytes } = framesOf(bytes);
  const isWhole = restBytes === 0;
  await write(peer, isWhole ? Buffer.concat([bytes, pingreq]) : bytes, pieceBytes);
  if (!isWhole) socket.end();
  const pings = packets.filter(({ first }) => packetType(first) === typeOf.pingreq).length + 1;
  await until(
    `${bytes.subarray(0, 400).toString("hex")} (first: ${isFirst}) is answered or refused`,
    () => peer.isClosed || (isWhole && peer.count(typeOf.pingresp) >= pings),
  );
  const isClosed = peer.isClosed;
  socket.destroy();
  const isOver = packets.some(({ first }) => packetType(first) === typeOf.disconnect);
  return {
    kind: isWhole ? (isClosed ? "closed" : "answered") : "unfinished",
    isRefusalDue: isWhole && isClosed && !isOver,
    acknowledged: peer.count(typeOf.puback) + peer.count(typeOf.pubrec),
  };
}

async function introduce(peer: Peer, clientId: string): Promise<void> {
  const packet = {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    keepalive: 0,
    clientId,
  };
  peer.socket.write(mqttPacket.generate(packet as Packet));
  await until("CONNACK comes", () => peer.count(typeOf.connack) > 0 || peer.isClosed);
  if (peer.isClosed) throw new Error(`${clientId} was not let in`);
  peer.received = Buffer.alloc(0);
}

async function write(peer: Peer, bytes: Buffer, pieceBytes: number): Promise<void> {
  const step = pieceBytes === 0 ? bytes.length : Math.max(pieceBytes, Math.ceil(bytes.length / 200));
  for (let at = 0; at < bytes.length && !peer.isClosed; at += step) {
    peer.socket.write(bytes.subarray(at, at + step));
    if (pieceBytes > 0) await turn();
  }
}
