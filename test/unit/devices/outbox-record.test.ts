import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeSegmentHeader,
  encodeMessageRecord,
  encodeSegmentHeader,
  encodeSettledRecord,
  readRecord,
} from "../../../devices/outbox/outbox-record.ts";

const record = fc.oneof(
  fc
    .record({
      sequence: fc.maxSafeNat(),
      topic: fc.string({ unit: "grapheme" }),
      payload: fc.uint8Array({ maxLength: 500 }),
    })
    .map((message) => ({ kind: "message" as const, message, bytes: encodeMessageRecord(message) })),
  fc
    .maxSafeNat()
    .map((sequence) => ({ kind: "settled" as const, sequence, bytes: encodeSettledRecord(sequence) })),
);

test("records come back one after another", () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 8 }), (records) => {
      const bytes = Buffer.concat(records.map((each) => each.bytes));
      let offset = 0;
      for (const written of records) {
        const read = readRecord(bytes, offset);
        assert.ok(read.kind === "message" || read.kind === "settled");
        offset = read.end;
        if (written.kind === "settled") {
          assert.equal(read.kind === "settled" && read.sequence, written.sequence);
          continue;
        }
        assert.ok(read.kind === "message");
        assert.deepEqual([...read.message.payload], [...written.message.payload]);
        assert.equal(read.message.topic, written.message.topic);
        assert.equal(read.message.sequence, written.message.sequence);
      }
      assert.equal(offset, bytes.length);
    }),
  );
});

test("a record that is cut short is incomplete, one with a changed byte is never taken for whole", () => {
  fc.assert(
    fc.property(record, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ bytes }, at, change) => {
      const cut = readRecord(bytes.subarray(0, at % bytes.length), 0);
      assert.equal(cut.kind, "incomplete");
      const changed = Buffer.from(bytes);
      const index = at % bytes.length;
      changed[index] = (changed[index] ?? 0) ^ change;
      assert.match(readRecord(changed, 0).kind, /damaged|incomplete/);
    }),
  );
});

test("random bytes and zeros are no record, and reading them never throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.match(readRecord(Buffer.from(bytes), 0).kind, /damaged|incomplete/);
      assert.equal(decodeSegmentHeader(Buffer.from(bytes)), "damaged");
    }),
  );
  assert.equal(readRecord(Buffer.alloc(4096), 0).kind, "damaged");
});

test("a header comes back, and not with a changed byte", () => {
  const epoch = fc.uint8Array({ minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(epoch, fc.maxSafeNat(), fc.nat({ max: 27 }), (bytes, settledUpTo, at) => {
      const header = Buffer.from(encodeSegmentHeader({ epoch: bytes, settledUpTo }));
      assert.deepEqual(decodeSegmentHeader(header), { epoch: bytes, settledUpTo });
      header[at] = (header[at] ?? 0) ^ 1;
      assert.equal(decodeSegmentHeader(header), "damaged");
    }),
  );
});
