import { crc32 } from "node:zlib";

/**
 * The events of a run, appended in frames: length of the body and CRC-32 of the body (4 bytes each,
 * little-endian), then the body. The body is 1 byte kind, then:
 * - horizon: varint n. Messages below n may have been published from here on; none above was.
 * - sent, acked, gaveUp, delivered, again: message indexes, in the order of the events. Each is the zigzag
 *   varint of its distance from the one before (the first from 0). `sent` = published for the first time.
 *   `again` = published once more, out of its device's order. `delivered` = published to a gateway that
 *   stayed up, if no acknowledgement can come (a will, a device that sleeps).
 * - time: varint t. The run had lasted t ms when the frames before it were written.
 * - end: empty. The run was closed, and the ledger names every sent message. A killed simulator leaves a torn
 *   last frame, which readers leave out.
 */
export const frameKind = {
  horizon: 1,
  sent: 2,
  acked: 3,
  gaveUp: 4,
  end: 5,
  delivered: 6,
  again: 7,
  time: 8,
} as const;
export const indexListNames = ["sent", "acked", "gaveUp", "delivered", "again"] as const;
export type IndexListName = (typeof indexListNames)[number];

export const frameHeadBytes = 8;
/** Longest body that a writer makes; a reader treats a longer one as damage. */
export const frameBodyMaxBytes = 64 * 1024;

/** Longest varint of a 33-bit number. */
const varintMaxBytes = 5;

/** One open frame of indexes. */
export class IndexListFrame {
  readonly #kind: number;
  readonly #frame = Buffer.allocUnsafe(frameHeadBytes + frameBodyMaxBytes);
  #end = frameHeadBytes + 1;
  #last = 0;

  constructor(name: IndexListName) {
    this.#kind = frameKind[name];
  }

  get isEmpty(): boolean {
    return this.#end === frameHeadBytes + 1;
  }

  get isFull(): boolean {
    return this.#end > this.#frame.length - varintMaxBytes;
  }

  /** Call only while the frame is not full. */
  add(index: number): void {
    const step = index - this.#last;
    this.#last = index;
    let rest = step >= 0 ? step * 2 : -step * 2 - 1;
    while (rest > 0x7f) {
      this.#frame[this.#end++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#frame[this.#end++] = rest;
  }

  /** The finished frame, valid until the next `add`; the list is empty afterwards. */
  take(): Uint8Array {
    this.#frame[frameHeadBytes] = this.#kind;
    const frame = this.#frame.subarray(0, this.#end);
    seal(frame);
    this.#end = frameHeadBytes + 1;
    this.#last = 0;
    return frame;
  }
}

export function horizonFrame(upTo: number): Uint8Array {
  return numberFrame(frameKind.horizon, upTo);
}

export function timeFrame(elapsedMs: number): Uint8Array {
  return numberFrame(frameKind.time, elapsedMs);
}

function numberFrame(kind: number, value: number): Uint8Array {
  const list: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) list.push((rest % 128) | 0x80);
  return sealed([kind, ...list, rest]);
}

export function endFrame(): Uint8Array {
  return sealed([frameKind.end]);
}

function sealed(body: readonly number[]): Uint8Array {
  const frame = Buffer.from([...Buffer.alloc(frameHeadBytes), ...body]);
  seal(frame);
  return frame;
}

function seal(frame: Buffer): void {
  frame.writeUInt32LE(frame.length - frameHeadBytes, 0);
  frame.writeUInt32LE(crc32(frame.subarray(frameHeadBytes)), 4);
}

export interface FrameVisitor {
  horizon(upTo: number): void;
  index(name: IndexListName, index: number): void;
  time(elapsedMs: number): void;
  end(): void;
}

/**
 * Visits the whole frames of `bytes`, and returns how many bytes they take. The rest is a frame that is still
 * being written, or was when the simulator was killed. Returns null if a complete frame fails its checksum:
 * damage.
 */
export function readFrames(bytes: Buffer, visitor: FrameVisitor): number | null {
  let at = 0;
  while (at + frameHeadBytes < bytes.length) {
    const bodyBytes = bytes.readUInt32LE(at);
    const bodyAt = at + frameHeadBytes;
    if (bodyBytes === 0 || bodyBytes > frameBodyMaxBytes) return null;
    if (bodyAt + bodyBytes > bytes.length) break;
    const body = bytes.subarray(bodyAt, bodyAt + bodyBytes);
    if (crc32(body) !== bytes.readUInt32LE(at + 4) || !readBody(body, visitor)) return null;
    at = bodyAt + bodyBytes;
  }
  return at;
}

function readBody(body: Buffer, visitor: FrameVisitor): boolean {
  const kind = body[0];
  switch (kind) {
    case frameKind.horizon:
      visitor.horizon(readVarint(body, { at: 1 }));
      return true;
    case frameKind.time:
      visitor.time(readVarint(body, { at: 1 }));
      return true;
    case frameKind.end:
      visitor.end();
      return true;
    default:
      return readIndexList(body, visitor);
  }
}

function readIndexList(body: Buffer, visitor: FrameVisitor): boolean {
  const name = indexListNames.find((each) => frameKind[each] === body[0]);
  if (name === undefined) return false;
  readIndexes(body, (index) => visitor.index(name, index));
  return true;
}

function readIndexes(body: Buffer, visit: (index: number) => void): void {
  const cursor = { at: 1 };
  let index = 0;
  while (cursor.at < body.length) {
    const step = readVarint(body, cursor);
    index += step % 2 === 0 ? step / 2 : -(step + 1) / 2;
    visit(index);
  }
}

function readVarint(body: Buffer, cursor: { at: number }): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = body[cursor.at++] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
}
