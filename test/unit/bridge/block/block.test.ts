import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { BlockBuilder, encodeBlock } from "../../../../bridge/block/block-builder.ts";
import {
  at,
  type BlockMessage,
  type BlockSeal,
  blockHeaderBytes,
  blockTimeMaxMs,
  emptyBlockBytes,
  maxBlockBytes,
  maxMessagePayloadBytes,
} from "../../../../bridge/block/block-format.ts";
import { decodeBlock, decodeBlockHeader } from "../../../../bridge/block/decode-block.ts";
import { BridgeError } from "../../../../bridge/errors.ts";
import { firstVersionOf } from "../../../support/first-version-block.ts";

const seal: BlockSeal = {
  streamId: "00112233445566778899aabbccddeeff",
  producerId: "0123456789abcdef",
  partition: 3,
  sequence: 7,
  lastAcknowledgedSequence: 6,
  acknowledgedMessages: 1234,
  time: {
    wallMs: 1_795_000_000_000,
    bootId: "fedcba9876543210",
    stampMs: 86_400_000,
    acknowledgedAtMs: 86_399_000,
  },
};

const word = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.string({ unit: "binary-ascii", maxLength: 80 }),
  fc.constantFrom("device-1", "device-2", "", "a", "ä".repeat(40)),
);
const message: fc.Arbitrary<BlockMessage> = fc
  .record({
    topicId: word,
    topicVersion: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    name: fc.oneof(
      word,
      fc.constant("fleet/{device}/telemetry"),
      fc.constant("{device}"),
      fc.constant("{device}/{device}"),
    ),
    deviceId: word,
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ name, ...rest }) => ({ ...rest, topicName: name.replaceAll("{device}", rest.deviceId) }));
const timeMs = fc.integer({ min: 0, max: blockTimeMaxMs });
const sealOf: fc.Arbitrary<BlockSeal> = fc.record({
  streamId: hex(32),
  producerId: hex(16),
  partition: fc.integer({ min: 0, max: 65_535 }),
  sequence: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
  lastAcknowledgedSequence: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  acknowledgedMessages: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  time: fc.record(
    { wallMs: timeMs, bootId: hex(16), stampMs: timeMs, acknowledgedAtMs: timeMs },
    { noNullPrototype: true },
  ),
});

function hex(length: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof BridgeError && error.code === code && !error.retryable;
}

/**
 * The block with some bytes changed and a checksum that fits again: damage that only the checks of lengths
 * find.
 */
function forged(block: Uint8Array, change: (bytes: Buffer) => void): Uint8Array {
  const bytes = Buffer.from(block);
  change(bytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

test("what goes into a block comes out of it, in order", () => {
  fc.assert(
    fc.property(sealOf, fc.array(message, { maxLength: 60 }), (header, messages) => {
      const block = encodeBlock(header, messages, maxBlockBytes);
      const decoded = decodeBlock(block);
      assert.deepEqual(decoded.header, { ...header, version: 2, messageCount: messages.length });
      assert.deepEqual(decodeBlockHeader(block), decoded.header);
      assert.deepEqual(
        decoded.messages.map((each) => ({ ...each, payload: Uint8Array.from(each.payload) })),
        messages,
      );
    }),
    { numRuns: 400 },
  );
});

test("a block of version 1 is read as before, without clocks", () => {
  fc.assert(
    fc.property(sealOf, fc.array(message, { maxLength: 20 }), (header, messages) => {
      const block = firstVersionOf(encodeBlock(header, messages, maxBlockBytes));
      const decoded = decodeBlock(block);
      const { time: _, ...rest } = header;
      assert.deepEqual(decoded.header, { ...rest, time: null, version: 1, messageCount: messages.length });
      assert.deepEqual(
        decoded.messages.map((each) => ({ ...each, payload: Uint8Array.from(each.payload) })),
        messages,
      );
    }),
    { numRuns: 100 },
  );
});

test("a block that is too short for its version's header is BLOCK_CORRUPT", () => {
  const first = firstVersionOf(encodeBlock(seal, [], maxBlockBytes));
  assert.equal(decodeBlock(first).messages.length, 0);
  const second = forged(first, (bytes) => bytes.writeUInt8(2, at.version));
  assert.throws(() => decodeBlock(second), isCode("BLOCK_CORRUPT"));
  assert.throws(() => decodeBlockHeader(second), isCode("BLOCK_CORRUPT"));
});

test("an open block never exceeds its cap, and a refused message changes nothing", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: emptyBlockBytes, max: 1500 }),
      fc.array(message, { maxLength: 40 }),
      (maxBytes, messages) => {
        const builder = new BlockBuilder({ maxBytes });
        const taken = messages.filter((each) => {
          const before = builder.byteLength;
          const added = builder.add(each);
          if (!added) assert.equal(builder.byteLength, before);
          return added;
        });
        const promised = builder.byteLength;
        const block = builder.seal(seal);
        assert.equal(block.length, promised);
        assert.ok(block.length <= maxBytes);
        assert.deepEqual(
          decodeBlock(block).messages.map((each) => Uint8Array.from(each.payload)),
          taken.map((each) => each.payload),
        );
      },
    ),
    { numRuns: 300 },
  );
});

test("the biggest payload fits with the longest names", () => {
  const biggest: BlockMessage = {
    topicId: "t".repeat(64),
    topicVersion: 1,
    topicName: "n".repeat(65_535),
    deviceId: "d".repeat(65_535),
    qos: 1,
    payload: new Uint8Array(maxMessagePayloadBytes).fill(7),
  };
  const { messages } = decodeBlock(encodeBlock(seal, [biggest], maxBlockBytes));
  assert.deepEqual(messages[0]?.payload.length, maxMessagePayloadBytes);
  assert.throws(() => encodeBlock(seal, [biggest, biggest], maxBlockBytes), RangeError);
});

test("messages of many devices on one filter share their topic name", () => {
  const messages = Array.from({ length: 100 }, (_, index) => ({
    topicId: "telemetry-id",
    topicVersion: 1,
    topicName: `fleet/device-${index}/telemetry`,
    deviceId: `device-${index}`,
    qos: 1 as const,
    payload: new Uint8Array(100),
  }));
  const block = encodeBlock(seal, messages, maxBlockBytes);
  assert.ok(block.length < emptyBlockBytes + 100 * (100 + 14) + 60, `${block.length} bytes`);
});

test("a payload given to an open block may be overwritten by its owner", () => {
  const payload = new Uint8Array([1, 2, 3]);
  const builder = new BlockBuilder({ maxBytes: 1000 });
  builder.add({ topicId: "t", topicVersion: 1, topicName: "a", deviceId: "d", qos: 0, payload });
  payload.fill(9);
  assert.deepEqual([...(decodeBlock(builder.seal(seal)).messages[0]?.payload ?? [])], [1, 2, 3]);
});

test("flipped bits and cut ends are BLOCK_CORRUPT", () => {
  const block = encodeBlock(seal, fc.sample(message, { numRuns: 30, seed: 1 }), maxBlockBytes);
  for (let bit = 0; bit < block.length * 8; bit++) {
    const bytes = Uint8Array.from(block);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => decodeBlock(bytes), isCode("BLOCK_CORRUPT"));
  }
  for (let length = 0; length < block.length; length += 3)
    assert.throws(() => decodeBlock(block.subarray(0, length)), isCode("BLOCK_CORRUPT"));
  assert.throws(() => decodeBlock(Buffer.concat([block, Buffer.alloc(1)])), isCode("BLOCK_CORRUPT"));
});

test("any bytes either decode or are BLOCK_CORRUPT, even if the checksum fits", () => {
  const block = encodeBlock(seal, fc.sample(message, { numRuns: 30, seed: 2 }), maxBlockBytes);
  const changes = fc.array(
    fc.tuple(fc.integer({ min: at.messageCount, max: block.length - 5 }), fc.integer({ min: 0, max: 255 })),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(changes, (list) => {
      const bytes = forged(block, (copy) => {
        for (const [position, value] of list) copy[position] = value;
      });
      try {
        decodeBlock(bytes);
      } catch (error) {
        assert.ok(isCode("BLOCK_CORRUPT")(error), String(error));
      }
    }),
    { numRuns: 3000 },
  );
});

test("counts and lengths that lie are refused", () => {
  const one = fc.sample(message, { numRuns: 1, seed: 3 });
  const block = encodeBlock(seal, one, maxBlockBytes);
  const lies: ((bytes: Buffer) => void)[] = [
    (bytes) => bytes.writeUInt32LE(2, at.messageCount),
    (bytes) => bytes.writeUInt32LE(0, at.messageCount),
    (bytes) => bytes.writeUInt32LE(0xffff_ffff, at.messageCount),
    (bytes) => bytes.writeUInt32LE(block.length + 1, at.blockBytes),
    (bytes) => bytes.fill(0xff, blockHeaderBytes, blockHeaderBytes + 5),
    (bytes) => bytes.fill(0x03, blockHeaderBytes, blockHeaderBytes + 1),
    (bytes) => bytes.fill(0x04, blockHeaderBytes, blockHeaderBytes + 1),
  ];
  for (const lie of lies)
    assert.throws(() => decodeBlock(forged(block, lie)), isCode("BLOCK_CORRUPT"), String(lie));
});

test("an intact block of a newer version is BLOCK_VERSION", () => {
  const newer = forged(encodeBlock(seal, [], maxBlockBytes), (bytes) => bytes.writeUInt8(3, at.version));
  assert.throws(() => decodeBlock(newer), isCode("BLOCK_VERSION"));
});
