import { crc32 } from "node:zlib";
import {
  at,
  BLOCK_MAGIC,
  BLOCK_VERSION,
  type BlockMessage,
  type BlockSeal,
  CHECKSUM_BYTES,
  EMPTY_BLOCK_BYTES,
  HEADER_BYTES,
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

/** Varints of one message, the route's included: 7 of at most 5 bytes, and one flag byte. */
const varintBytesMax = 36;
/** UTF-8 takes at most three bytes per UTF-16 unit. */
const utf8BytesPerUnitMax = 3;
const firstBufferBytes = 8 * 1024;
/** Longer texts go through the native encoder, which is then the cheaper one. */
const shortTextUnits = 32;

/**
 * An open block: messages are copied into one growing buffer as they come, so that sealing costs a header and a checksum.
 * Holds at most `maxBytes`, checksum included.
 */
export class BlockBuilder {
  readonly #maxBytes: number;
  #buffer: Buffer;
  #length = HEADER_BYTES;
  #messageCount = 0;
  readonly #devices = new Map<string, number>();
  readonly #routes = new Map<string, Route>();
  #lastRoute: Route | undefined;

  constructor(options: { maxBytes: number }) {
    this.#maxBytes = options.maxBytes;
    this.#buffer = Buffer.allocUnsafeSlow(
      Math.min(firstBufferBytes, Math.max(options.maxBytes, HEADER_BYTES)),
    );
  }

  get messageCount(): number {
    return this.#messageCount;
  }

  /** Size of the block if it were sealed now. */
  get byteLength(): number {
    return this.#length + CHECKSUM_BYTES;
  }

  /** Copies the message in. False, with nothing changed, where it does not fit any more. */
  add(message: BlockMessage): boolean {
    const room = this.#maxBytes - CHECKSUM_BYTES - this.#length;
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

  /** Finishes the block. The bytes are the caller's and never change; the builder must not be used afterwards. */
  seal(seal: BlockSeal): Uint8Array {
    this.#reserve(CHECKSUM_BYTES);
    const buffer = this.#buffer;
    const end = this.#length;
    buffer.writeUInt32LE(BLOCK_MAGIC, at.magic);
    buffer.writeUInt8(BLOCK_VERSION, at.version);
    buffer.writeUInt8(0, at.reserved);
    buffer.writeUInt16LE(seal.partition, at.partition);
    buffer.write(seal.streamId, at.streamId, "hex");
    buffer.write(seal.producerId, at.producerId, "hex");
    buffer.writeUIntLE(seal.sequence, at.sequence, 6);
    buffer.writeUIntLE(seal.lastAcknowledgedSequence, at.lastAcknowledgedSequence, 6);
    buffer.writeUIntLE(seal.acknowledgedMessages, at.acknowledgedMessages, 6);
    buffer.writeUIntLE(seal.time.wallMs, at.wallMs, 6);
    buffer.writeUInt32LE(this.#messageCount, at.messageCount);
    buffer.writeUInt32LE(end + CHECKSUM_BYTES, at.blockBytes);
    buffer.write(seal.time.bootId, at.bootId, "hex");
    buffer.writeUIntLE(seal.time.stampMs, at.stampMs, 6);
    buffer.writeUIntLE(seal.time.acknowledgedAtMs, at.acknowledgedAtMs, 6);
    buffer.writeUInt32LE(crc32(buffer.subarray(0, end)), end);
    return buffer.subarray(0, end + CHECKSUM_BYTES);
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

  /** A loop beats the call into native code for short texts. False, with nothing kept, where a character is not ASCII. */
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

/** Seals one block of these messages. Throws a RangeError where they do not fit into `maxBytes`. */
export function encodeBlock(seal: BlockSeal, messages: Iterable<BlockMessage>, maxBytes: number): Uint8Array {
  const builder = new BlockBuilder({ maxBytes });
  for (const message of messages) {
    if (!builder.add(message))
      throw new RangeError(`the messages do not fit into a block of ${maxBytes} bytes`);
  }
  return builder.seal(seal);
}

/** True where a message fits into an empty block of that cap, whatever its names. */
export function fitsEmptyBlock(message: BlockMessage, maxBytes: number): boolean {
  const room = maxBytes - EMPTY_BLOCK_BYTES;
  return messageBytesMax(message) <= room || exactMessageBytesMax(message) <= room;
}

/** Upper bound of what a message adds to a block, without looking into its texts. */
function messageBytesMax(message: BlockMessage): number {
  const units = message.topicName.length + message.deviceId.length + message.topicId.length;
  return varintBytesMax + units * utf8BytesPerUnitMax + message.payload.length;
}

/** Closer upper bound, for messages near the cap: every text counted as if it were new. */
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
