import fc from "fast-check";
import { hostileJson } from "./hostile-json.ts";

/** Payloads for topics with the format envelope, mostly not valid by `telemetry-envelope.proto`. */

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

/** The same number in more bytes than it needs; beyond 10 no protobuf. */
function overlong(value: number, bytes: number): Buffer {
  const rest = Array.from({ length: bytes - 1 }, (_, index) => (index === bytes - 2 ? 0 : 0x80));
  return Buffer.from([value | 0x80, ...rest]);
}

const tag = (field: number, wireType: number) => varint(BigInt(field) * 8n + BigInt(wireType));
const lengthDelimited = (field: number, content: Uint8Array, declared = content.length) =>
  Buffer.concat([tag(field, 2), varint(BigInt(declared)), content]);

const interestingNumbers = [
  0n,
  1n,
  -1n,
  2n ** 31n,
  2n ** 53n + 1n,
  2n ** 63n,
  2n ** 64n - 1n,
  1764346600000n,
];
const lengths = [0, 1, 100, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const contents = fc.oneof(
  fc.uint8Array({ maxLength: 70 }),
  fc.constantFrom(
    Buffer.alloc(0),
    Buffer.alloc(64, "i"),
    Buffer.alloc(65, "i"),
    Buffer.from([0xff, 0xfe]),
    Buffer.alloc(3_000),
  ),
);

const field = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 7 }), contents)
    .map(([number, wireType, content]) => Buffer.concat([tag(number, wireType), content])),
  fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom(...interestingNumbers))
    .map(([number, value]) => Buffer.concat([tag(number, 0), varint(value)])),
  fc
    .tuple(fc.integer({ min: 1, max: 6 }), contents, fc.constantFrom(...lengths))
    .map(([number, content, declared]) => lengthDelimited(number, content, declared)),
  fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom(2, 5, 10, 11, 30))
    .map(([number, bytes]) => Buffer.concat([tag(number, 0), overlong(1, bytes)])),
  fc
    .tuple(fc.constantFrom(1, 6, 536_870_911), fc.constantFrom(1, 100, 101, 10_000), fc.boolean())
    .map(([number, levels, isClosed]) =>
      Buffer.concat([
        ...Array.from({ length: levels }, () => tag(number, 3)),
        ...Array.from({ length: isClosed ? levels : 0 }, () => tag(number, 4)),
      ]),
    ),
  fc.constantFrom(10, 1_000).map((levels) => {
    let nested: Buffer = Buffer.alloc(0);
    for (let level = 0; level < levels; level++) nested = lengthDelimited(7, nested);
    return nested;
  }),
);

/** The fields of a valid envelope, with a payload that may be invalid. */
const sound = fc
  .tuple(
    fc.uint8Array({ minLength: 1, maxLength: 64 }),
    hostileJson(20_000),
    fc.bigInt({ min: 0n, max: 2n ** 64n }),
  )
  .map(([id, payload, sequence]) => [
    lengthDelimited(1, id),
    Buffer.concat([tag(2, 0), varint(1764346600000n)]),
    Buffer.concat([tag(3, 0), varint(sequence)]),
    lengthDelimited(4, Buffer.from("application/json")),
    lengthDelimited(5, payload),
  ]);

/** Fields in any order, left out, doubled, of the wrong wire type, cut, or with one bit turned. */
export function hostileProtobuf(): fc.Arbitrary<Buffer> {
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .record({
          own: sound,
          extra: fc.array(field, { maxLength: 3 }),
          dropped: fc.integer({ min: 0, max: 15 }),
          isReversed: fc.boolean(),
        })
        .map(({ own, extra, dropped, isReversed }) => {
          const fields = [...own.filter((_, index) => index !== dropped), ...extra];
          return Buffer.concat(isReversed ? fields.reverse() : fields);
        }),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(sound, fc.nat(), fc.integer({ min: 0, max: 7 })).map(([own, at, bit]) => {
        const bytes = Buffer.concat(own);
        const turned = at % bytes.length;
        bytes[turned] = (bytes[turned] ?? 0) ^ (1 << bit);
        return bytes;
      }),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(sound, fc.nat()).map(([own, at]) => {
        const bytes = Buffer.concat(own);
        return bytes.subarray(0, at % bytes.length);
      }),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  );
}
