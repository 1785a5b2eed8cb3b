import type { Socket } from "node:net";

/** [MQTT-3.4.1] [MQTT-3.5.1] First byte of PUBACK, PUBREC and PUBCOMP; all are four bytes long. */
const puback = 0x40;
const pubrec = 0x50;
const pubcomp = 0x70;
const packetBytes = 4;

function put(target: Buffer, at: number, type: number, messageId: number): void {
  target[at] = type;
  target[at + 1] = 2;
  target[at + 2] = messageId >> 8;
  target[at + 3] = messageId & 0xff;
}

export function writePubcomp(conn: Socket, messageId: number): void {
  const packet = Buffer.allocUnsafe(packetBytes);
  put(packet, 0, pubcomp, messageId);
  conn.write(packet);
}

/** Collects a connection's acknowledgements, so that all that become due together leave in one write. */
export class AcknowledgementBuffer {
  #bytes = Buffer.allocUnsafe(16 * packetBytes);
  #length = 0;

  get count(): number {
    return this.#length / packetBytes;
  }

  add(messageId: number, qos: 1 | 2): void {
    if (this.#length === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, this.#bytes]);
    put(this.#bytes, this.#length, qos === 1 ? puback : pubrec, messageId);
    this.#length += packetBytes;
  }

  writeTo(conn: Socket): void {
    // A copy: the socket may keep the bytes that it gets, and this buffer is written again.
    conn.write(Buffer.from(this.#bytes.subarray(0, this.#length)));
    this.#length = 0;
  }
}
