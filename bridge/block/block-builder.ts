import { crc32 } from "node:zlib";
import {
  at,
  type BlockMessage,
  type BlockSeal,
  blockHeaderBytes,
  blockMagic,
  blockVersion,
  checksumBytes,
  emptyBlockBytes,
} from "./block-format.ts";

interface Route {
  readonly number: number;
  readonly key: string;
  readonly topicId: string;
  readonly topicVersion: number;
  readonly withDevice: boolean;
  readonly prefix: string;
  readonly suffix: string;
}

/**
 * Bytes of a message without its texts and payload: 7 varints of at most 5 bytes, its route's included, and
 * one flag byte.
 */
const varintBytesMax = 36;
/** UTF-8 takes at most three bytes per UTF-16 unit. */
const utf8BytesPerUnitMax = 3;
const firstBufferBytes = 8 * 1024;
/** The native encoder is faster for longer texts. */
const shortTextUnits = 32;

/**
 * An open block. Each message is copied into one growing buffer, so that sealing costs only a header and a
 * checksum. The block holds at most `maxBytes`, checksum included.
 */
export class BlockBuilder {
  readonly #maxBytes: number;
  #buffer: Buffer;
  #length = blockHeaderBytes;
  #messageCount = 0;
  readonly #devices = new Map<string, number>();
  readonly #routes = new Map<string, Route>();
  #lastRoute: Route | undefined;

  constructor(options: { maxBytes: number }) {
    this.#maxBytes = options.maxBytes;
    this.#buffer = Buffer.allocUnsafeSlow(
      Math.min(firstBufferBytes, Math.max(options.maxBytes, blockHeaderBytes)),
    );
  }

  get messageCount(): number {
    return this.#messageCount;
  }

  /** Size of the block if it were sealed now. */
  get byteLength(): number {
    return this.#length + checksumBytes;
  }

  /** Copies the message into the block. False if the message no longer fits; the block is then unchanged. */
  add(message: BlockMessage): boolean {
    const room = this.#maxBytes - checksumBytes - this.#length;
    const bytesMax = messageBytesMax(message);
    if (bytesMax > room && exactMessageBytesMax(message) > room) return false;
    this.#reserve(Math.min(bytesMax, room));
    const route = this.#route(message);
    const device = this.#devices.get(message.deviceId);
    this.#writeVarint(route.number * 4 + message.qos);
    if (route.number === this.#routes.size) this.#defineRoute(route);
    if (device === undefined) this.#defineDevice(message.deviceId);
    else this.#writeVarint(device);
    const { payload } = message;
    this.#writeVarint(payload.length);
    this.#buffer.set(payload, this.#length);
    this.#length += payload.length;
    this.#messageCount += 1;
    return true;
  }

  /** Finishes the block. The caller owns the bytes; do not use the builder afterwards. */
  seal(seal: BlockSeal): Uint8Array {
    this.#reserve(checksumBytes);
    const buffer = this.#buffer;
    const end = this.#length;
    buffer.writeUInt32LE(blockMagic, at.magic);
    buffer.writeUInt8(blockVersion, at.version);
    buffer.writeUInt8(0, at.reserved);
    buffer.writeUInt16LE(seal.partition, at.partition);
    buffer.write(seal.streamId, at.streamId, "hex");
    buffer.write(seal.producerId, at.producerId, "hex");
    buffer.writeUIntLE(seal.sequence, at.sequence, 6);
    buffer.writeUIntLE(seal.lastAcknowledgedSequence, at.lastAcknowledgedSequence, 6);
    buffer.writeUIntLE(seal.acknowledgedMessages, at.acknowledgedMessages, 6);
    buffer.writeUIntLE(seal.time.wallMs, at.wallMs, 6);
    buffer.writeUInt32LE(this.#messageCount, at.messageCount);
    buffer.writeUInt32LE(end + checksumBytes, at.blockBytes);
    buffer.write(seal.time.bootId, at.bootId, "hex");
    buffer.writeUIntLE(seal.time.stampMs, at.stampMs, 6);
    buffer.writeUIntLE(seal.time.acknowledgedAtMs, at.acknowledgedAtMs, 6);
    buffer.writeUInt32LE(crc32(buffer.subarray(0, end)), end);
    return buffer.subarray(0, end + checksumBytes);
  }

  #route(message: BlockMessage): Route {
    const last = this.#lastRoute;
    if (last && isRouteOf(last, message)) return last;
    const cut = message.deviceId === "" ? -1 : message.topicName.indexOf(message.deviceId);
    const withDevice = cut >= 0;
    const prefix = withDevice ? message.topicName.slice(0, cut) : message.topicName;
    const suffix = withDevice ? message.topicName.slice(cut + message.deviceId.length) : "";
    const { topicId, topicVersion } = message;
    const key = `${topicVersion} ${topicId.length} ${withDevice ? cut : -1} ${topicId}${prefix}${suffix}`;
    const known = this.#routes.get(key);
    if (known) {
      this.#lastRoute = known;
      return known;
    }
    return { number: this.#routes.size, key, topicId, topicVersion, withDevice, prefix, suffix };
  }

  #defineRoute(route: Route): void {
    this.#routes.set(route.key, route);
    this.#lastRoute = route;
    this.#writeVarint(route.topicVersion);
    this.#writeText(route.topicId);
    this.#buffer[this.#length++] = route.withDevice ? 1 : 0;
    this.#writeText(route.prefix);
    this.#writeText(route.suffix);
  }

  #defineDevice(deviceId: string): void {
    this.#writeVarint(this.#devices.size);
    this.#devices.set(deviceId, this.#devices.size);
    this.#writeText(deviceId);
  }

  #reserve(bytes: number): void {
    const wanted = this.#length + bytes;
    if (wanted <= this.#buffer.length) return;
    const doubled = Math.min(this.#buffer.length * 2, this.#maxBytes);
    const grown = Buffer.allocUnsafeSlow(Math.max(doubled, wanted));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }

  #writeVarint(value: number): void {
    const buffer = this.#buffer;
    let rest = value;
    while (rest >= 0x80) {
      buffer[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.#length++] = rest;
  }

  #writeText(text: string): void {
    if (text.length <= shortTextUnits && this.#writeShortAscii(text)) return;
    const bytes = Buffer.byteLength(text);
    this.#writeVarint(bytes);
    this.#buffer.write(text, this.#length, bytes, "utf8");
    this.#length += bytes;
  }

  /**
   * Writes a short text in a loop, which is faster than a call of native code. False if a character is not
   * ASCII; nothing is then written.
   */
  #writeShortAscii(text: string): boolean {
    const buffer = this.#buffer;
    let position = this.#length;
    buffer[position++] = text.length;
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) return false;
      buffer[position++] = unit;
    }
    this.#length = position;
    return true;
  }
}

/**
 * Seals one block of these messages.
 * @throws RangeError if they do not fit into `maxBytes`.
 */
export function encodeBlock(seal: BlockSeal, messages: Iterable<BlockMessage>, maxBytes: number): Uint8Array {
  const builder = new BlockBuilder({ maxBytes });
  for (const message of messages) {
    if (!builder.add(message))
      throw new RangeError(`the messages do not fit into a block of ${maxBytes} bytes`);
  }
  return builder.seal(seal);
}

/** True if the message fits into an empty block of `maxBytes`. */
export function fitsEmptyBlock(message: BlockMessage, maxBytes: number): boolean {
  const room = maxBytes - emptyBlockBytes;
  return messageBytesMax(message) <= room || exactMessageBytesMax(message) <= room;
}

/** Upper bound of the bytes that a message adds to a block, without reading its texts. */
function messageBytesMax(message: BlockMessage): number {
  const units = message.topicName.length + message.deviceId.length + message.topicId.length;
  return varintBytesMax + units * utf8BytesPerUnitMax + message.payload.length;
}

/** Closer upper bound in bytes, for messages near the limit. Counts each text as new to the block. */
function exactMessageBytesMax(message: BlockMessage): number {
  const texts =
    Buffer.byteLength(message.topicName) +
    Buffer.byteLength(message.deviceId) +
    Buffer.byteLength(message.topicId);
  return varintBytesMax + texts + message.payload.length;
}

function isRouteOf(route: Route, message: BlockMessage): boolean {
  const { topicName, deviceId } = message;
  if (route.topicId !== message.topicId || route.topicVersion !== message.topicVersion) return false;
  if (!route.withDevice) return route.prefix === topicName;
  const { prefix, suffix } = route;
  return (
    topicName.length === prefix.length + deviceId.length + suffix.length &&
    topicName.startsWith(prefix) &&
    topicName.startsWith(deviceId, prefix.length) &&
    topicName.endsWith(suffix)
  );
}
