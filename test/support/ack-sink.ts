/**
 * A server that acknowledges each PUBLISH and does nothing else, to measure the cost of a load generator.
 * Runs as a process: prints its port on a line of its own, and ends with its standard input.
 */
import { type AddressInfo, createServer, type Socket } from "node:net";

const connack = Buffer.from([0x20, 2, 0, 0]);

function serve(socket: Socket): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const answers: number[] = [];
    let at = 0;
    for (;;) {
      const packet = packetAt(bytes, at);
      if (!packet) break;
      const first = bytes[at] as number;
      if (first >> 4 === 1) socket.write(connack);
      else if (first >> 4 === 3 && (first & 0x06) === 2) {
        const identifierAt = packet.bodyAt + 2 + bytes.readUInt16BE(packet.bodyAt);
        answers.push(0x40, 2, bytes[identifierAt] as number, bytes[identifierAt + 1] as number);
      }
      at = packet.end;
    }
    rest = Buffer.from(bytes.subarray(at));
    if (answers.length > 0) socket.write(Buffer.from(answers));
  });
}

function packetAt(bytes: Buffer, at: number): { bodyAt: number; end: number } | null {
  let length = 0;
  for (let index = 1; index <= 4; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) return null;
    length += (byte & 0x7f) << (7 * (index - 1));
    if (byte < 0x80) {
      const bodyAt = at + index + 1;
      return bodyAt + length <= bytes.length ? { bodyAt, end: bodyAt + length } : null;
    }
  }
  return null;
}

const server = createServer({ noDelay: true }, serve);
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.stdin.on("end", () => process.exit(0)).resume();
