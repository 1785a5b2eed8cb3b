import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeMessageId, encodeMessageId } from "../../../devices/protocol/message-id.ts";
import { ProtocolError } from "../../../devices/protocol/protocol-error.ts";

const isInvalid = (error: unknown) => error instanceof ProtocolError && error.code === "MESSAGE_ID_INVALID";

const epoch = fc.uint8Array({ minLength: 8, maxLength: 8 });
const sequence = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER));

test("epoch and sequence come back from their 16 bytes, also from a view", () => {
  fc.assert(
    fc.property(epoch, sequence, fc.nat({ max: 9 }), (bytes, number, offset) => {
      const id = encodeMessageId({ epoch: bytes, sequence: number });
      assert.equal(id.length, 16);
      const padded = new Uint8Array(offset + 16);
      padded.set(id, offset);
      assert.deepEqual(decodeMessageId(padded.subarray(offset)), { epoch: bytes, sequence: number });
    }),
  );
});

test("ids sort by sequence within an epoch", () => {
  fc.assert(
    fc.property(epoch, sequence, sequence, (bytes, a, b) => {
      const compared = Buffer.compare(
        encodeMessageId({ epoch: bytes, sequence: a }),
        encodeMessageId({ epoch: bytes, sequence: b }),
      );
      assert.equal(compared, Math.sign(a - b));
    }),
  );
});

test("an id that the SDK did not make is refused: MESSAGE_ID_INVALID", () => {
  for (const number of [-1, 1.5, Number.NaN, 2 ** 53])
    assert.throws(() => encodeMessageId({ epoch: new Uint8Array(8), sequence: number }), isInvalid);
  assert.throws(() => encodeMessageId({ epoch: new Uint8Array(7), sequence: 0 }), isInvalid);
  assert.throws(() => decodeMessageId(new Uint8Array(15)), isInvalid);
  assert.throws(() => decodeMessageId(new Uint8Array(16).fill(0xff)), isInvalid);
});
