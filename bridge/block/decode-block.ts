import { crc32 } from "node:zlib";
import { BridgeError } from "../errors.ts";
import {
  at,
  type BlockHeader,
  type BlockMessage,
  type BlockTime,
  blockHeaderBytes,
  blockMagic,
  blockVersion,
  bootIdBytes,
  checksumBytes,
  firstHeaderBytes,
  firstVersion,
  producerIdBytes,
  streamIdBytes,
} from "./block-format.ts";

export interface DecodedBlock {
  readonly header: BlockHeader;
  /** In the order in which the producer accepted them. Payloads are views into the block's bytes. */
  readonly messages: readonly BlockMessage[];
}

interface Route {
  readonly topicId: string;
  readonly topicVersion: number;
  readonly withDevice: boolean;
  readonly prefix: string;
  readonly suffix: string;
}

/**
 * Decodes a whole block, and checks its checksum and every length in it.
 * @throws BridgeError BLOCK_CORRUPT if the bytes are not a sealed block, BLOCK_VERSION if a newer producer
 * sealed them.
 */
export function decodeBlock(bytes: Uint8Array): DecodedBlock {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(block);
  const reader = new MessageReader(block, headerBytes(header.version), block.length - checksumBytes);
  const messages: BlockMessage[] = [];
  for (let index = 0; index < header.messageCount; index++) messages.push(reader.next());
  reader.expectEnd();
  return { header, messages };
}

/** Decodes only the header, after checking the checksum of the whole block. Same errors as `decodeBlock`. */
export function decodeBlockHeader(bytes: Uint8Array): BlockHeader {
  return readHeader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

function readHeader(block: Buffer): BlockHeader {
  if (block.length < firstHeaderBytes + checksumBytes) throw corrupt(`${block.length} bytes are too few`);
  if (block.readUInt32LE(at.magic) !== blockMagic) throw corrupt("it does not start like one");
  const end = block.length - checksumBytes;
  if (crc32(block.subarray(0, end)) !== block.readUInt32LE(end)) throw corrupt("the checksum differs");
  const version = block.readUInt8(at.version);
  if (version !== blockVersion && version !== firstVersion) throw unknownVersion(version);
  if (block.readUInt32LE(at.blockBytes) !== block.length || end < headerBytes(version))
    throw corrupt("its length differs");
  return {
    version,
    streamId: block.toString("hex", at.streamId, at.streamId + streamIdBytes),
    producerId: block.toString("hex", at.producerId, at.producerId + producerIdBytes),
    partition: block.readUInt16LE(at.partition),
    sequence: block.readUIntLE(at.sequence, 6),
    lastAcknowledgedSequence: block.readUIntLE(at.lastAcknowledgedSequence, 6),
    acknowledgedMessages: block.readUIntLE(at.acknowledgedMessages, 6),
    messageCount: block.readUInt32LE(at.messageCount),
    time: version === firstVersion ? null : readTime(block),
  };
}

function readTime(block: Buffer): BlockTime {
  return {
    wallMs: block.readUIntLE(at.wallMs, 6),
    bootId: block.toString("hex", at.bootId, at.bootId + bootIdBytes),
    stampMs: block.readUIntLE(at.stampMs, 6),
    acknowledgedAtMs: block.readUIntLE(at.acknowledgedAtMs, 6),
  };
}

function headerBytes(version: number): number {
  return version === firstVersion ? firstHeaderBytes : blockHeaderBytes;
}

/**
 * Reads messages one by one. Never reads beyond `end`, and allocates no more than the block's own bytes can
 * fill.
 */
class MessageReader {
  readonly #block: Buffer;
  readonly #end: number;
  #position: number;
  readonly #routes: Route[] = [];
  readonly #devices: string[] = [];

  constructor(block: Buffer, start: number, end: number) {
    this.#block = block;
    this.#position = start;
    this.#end = end;
  }

  next(): BlockMessage {
    const routeAndQos = this.#varint();
    const qos = routeAndQos & 3;
    if (qos === 3) throw corrupt("a message has QoS 3");
    const { topicId, topicVersion, withDevice, prefix, suffix } = this.#route(routeAndQos >>> 2);
    const deviceId = this.#device(this.#varint());
    const start = this.#skip(this.#varint());
    const payload = this.#block.subarray(start, this.#position);
    const topicName = withDevice ? prefix + deviceId + suffix : prefix;
    return { topicId, topicVersion, topicName, deviceId, qos: qos as 0 | 1 | 2, payload };
  }

  expectEnd(): void {
    if (this.#position !== this.#end) throw corrupt("bytes are left after its last message");
  }

  #route(number: number): Route {
    const known = this.#routes[number];
    if (known) return known;
    if (number !== this.#routes.length) throw corrupt("a message names a route that was not defined");
    const topicVersion = this.#varint();
    const topicId = this.#text();
    const withDevice = this.#block[this.#skip(1)] === 1;
    const route = { topicId, topicVersion, withDevice, prefix: this.#text(), suffix: this.#text() };
    this.#routes.push(route);
    return route;
  }

  #device(number: number): string {
    const known = this.#devices[number];
    if (known !== undefined) return known;
    if (number !== this.#devices.length) throw corrupt("a message names a device that was not defined");
    const deviceId = this.#text();
    this.#devices.push(deviceId);
    return deviceId;
  }

  #text(): string {
    const start = this.#skip(this.#varint());
    return this.#block.toString("utf8", start, this.#position);
  }

  /** Skips that many bytes, and returns the offset of the first one. */
  #skip(bytes: number): number {
    const start = this.#position;
    if (bytes > this.#end - start) throw corrupt("a length reaches beyond its end");
    this.#position = start + bytes;
    return start;
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#block[this.#skip(1)] ?? 0;
      if (shift === 28 && byte > 0x0f) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw corrupt("a number is longer than 32 bits");
  }
}

function corrupt(why: string): BridgeError {
  return new BridgeError("BLOCK_CORRUPT", `the block is damaged: ${why}`, { retryable: false });
}

function unknownVersion(version: number): BridgeError {
  return new BridgeError(
    "BLOCK_VERSION",
    `the block has version ${version}, this Tidegate reads ${blockVersion}: upgrade the consumer before the broker`,
    { retryable: false, details: { version } },
  );
}
