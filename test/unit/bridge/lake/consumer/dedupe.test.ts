import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { BatchIds } from "../../../../../bridge/lake/consumer/ids/batch-ids.ts";
import { DedupeKeyMaker } from "../../../../../bridge/lake/consumer/ids/dedupe-key.ts";

interface Id {
  topicId: string;
  deviceId: string;
  messageId: Uint8Array;
  contentHash?: number;
}

function keyOf(id: Id, maker = new DedupeKeyMaker()): string {
  const target = Buffer.alloc(20);
  maker.write(target, 4, id);
  assert.equal(target.readUInt32LE(0) + target.readUInt32LE(16), 0, "nothing beyond the 12 bytes is written");
  return target.toString("hex", 4, 16);
}

test("a key is the start of SHA-256 over each part, preceded by its length", () => {
  const framed = Buffer.concat(
    [Buffer.from("topic"), Buffer.from("dévice"), Buffer.from([1, 2, 3])].flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(part.length);
      return [length, part];
    }),
  );
  const expected = createHash("sha256").update(framed).digest("hex").slice(0, 24);
  assert.equal(keyOf({ topicId: "topic", deviceId: "dévice", messageId: Uint8Array.of(1, 2, 3) }), expected);
});

test("no two ids share a key, wherever their parts are divided", () => {
  const id = fc.record({
    topicId: fc.string({ maxLength: 3 }),
    deviceId: fc.string({ maxLength: 3 }),
    messageId: fc.uint8Array({ minLength: 1, maxLength: 8 }),
    contentHash: fc.integer({ min: 0, max: 3 }),
  });
  const maker = new DedupeKeyMaker();
  fc.assert(
    fc.property(id, id, fc.boolean(), (left, right, isReused) => {
      const { contentHash: _, ...plain } = left;
      const first: Id = isReused ? left : plain;
      const same =
        JSON.stringify({ ...first, m: [...first.messageId] }) ===
        JSON.stringify({ ...right, m: [...right.messageId] });
      assert.equal(keyOf(first, maker) === keyOf(right, maker), same);
    }),
  );
});

test("a maker makes the same keys whatever it made before", () => {
  const maker = new DedupeKeyMaker();
  const short = { topicId: "t", deviceId: "d", messageId: Buffer.from("m") };
  const before = keyOf(short, maker);
  keyOf({ topicId: "t".repeat(3000), deviceId: "d".repeat(70_000), messageId: Buffer.alloc(64, 1) }, maker);
  assert.equal(keyOf(short, maker), before);
  assert.equal(keyOf(short), before);
});

test("the ids of a batch answer like a map, in the order of their first use", () => {
  const steps = fc.array(
    fc.record({ id: fc.integer({ min: 0, max: 3000 }), hash: fc.nat(), expiry: fc.nat() }),
    {
      maxLength: 4000,
      size: "max",
    },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const ids = new BatchIds();
      const model = new Map<number, { hash: number; expiry: number }>();
      for (const { id, hash, expiry } of list) {
        const device = id & 0xffff;
        ids.set(words(id), 0, {
          contentHash: hash,
          expiresAtSeconds: expiry,
          filedAtSeconds: expiry >>> 1,
          device,
        });
        model.set(id, { hash, expiry });
      }
      assert.equal(ids.length, model.size);
      const { keys, contentHashes, expiresAtSeconds, filedAtSeconds, devices, length } = ids.entries();
      assert.deepEqual(
        [keys.length, contentHashes.length, expiresAtSeconds.length, filedAtSeconds.length, devices.length],
        [length * 12, length, length, length, length],
      );
      for (const [row, [id, { hash, expiry }]] of [...model].entries()) {
        assert.equal(ids.find(words(id), 0), row);
        assert.deepEqual(
          [contentHashes[row], expiresAtSeconds[row], filedAtSeconds[row], devices[row]],
          [hash, expiry, expiry >>> 1, id & 0xffff],
        );
        assert.deepEqual([...keys.subarray(row * 12, row * 12 + 12)], [...new Uint8Array(words(id).buffer)]);
      }
      assert.equal(ids.find(words(9999), 0), -1);
    }),
    { numRuns: 20 },
  );
});

function words(id: number): Uint32Array {
  // Many keys share a first word, so they collide.
  return Uint32Array.of(id % 7, id, 5);
}
