import fc from "fast-check";

/** Payloads for topics with the format json, made to break their readers, as bytes. */

/** The same in JSON text, between quotes. */
const names = [
  ...["", "__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "then", "toJSON"],
  ...["\\u0000", "a\\u0000b", "\\ud800", "\\udfff\\ud800", "\\u0069d", "\ufeff", "\u202e", "e\u0301", "é"],
  ...["a/b", "~0", "~1", "$ref", "id", "ts", "v", "n", "s", "at", "on", "tags", "payload", "device_id"],
  ...["_index", "event_date", "'; DROP TABLE x; --", '\\"', "\\\\", "\u2028", "😀", "n".repeat(1_000)],
];

const numbers = [
  ...["1e400", "-1e400", "-0", "0", "-0.0", "0e0", "1e-400", "-1e-400", "1E+2", "1.0", "0.1", "1e21", "1e-7"],
  ...["9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"],
  ...[
    "18446744073709551616",
    "9007199254740992",
    "9007199254740993",
    "1640992921119120400",
    "4503599627370497.5",
  ],
  ...["1.7976931348623157e308", "1.7976931348623159e308", "5e-324", "2e-324", "123456789012345678.5"],
  ...["1e999999999999", "1e-999999999999", `1${"0".repeat(400)}`, `0.${"0".repeat(400)}1`, "9".repeat(5_000)],
  ...["8.64e15", "8640000000000001", "-62135596800000", "253402300800000", "1764346600.88", "1e3"],
];

const strings = [
  ...[
    '""',
    '"x"',
    '"\\u0000"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\ude00\\ud83d"',
    '"\\ud83d\\ude00"',
    '"\ufeff"',
  ],
  ...[
    '"2026-02-30T12:00:00Z"',
    '"2026-11-28T12:00:00.123456789Z"',
    '"2026-11-28T12:00:60Z"',
    '"0001-01-01T00:00:00Z"',
  ],
  ...[
    '"9999-12-31T23:59:59.999Z"',
    '"10000-01-01T00:00:00Z"',
    '"2026-11-28T12:00:00+99:99"',
    '"NaN"',
    '"null"',
  ],
  ...[`"${"é".repeat(33)}"`, `"${"i".repeat(64)}"`],
  ...[
    `"${"a".repeat(34)}!"`,
    `"${"a".repeat(20_000)}!"`,
    `"${"\\\\".repeat(3_000)}"`,
    `"${"\\u0000".repeat(2_000)}"`,
  ],
];

const others = ["null", "true", "false", "{}", "[]"];

/** Not JSON. */
const broken = [
  ...["01", "+1", "1.", ".5", "-", "NaN", "Infinity", "0x10", "1e", "1_000", "nul", "undefined", ""],
  ...["[", "{", "}", "[,]", "{,}", "//x", '"\\x"', '"\\u12"', '"\u0001"', '"\n"', '"', "'x'"],
];

/** Nested brackets; each is part of only some documents. */
const deep = fc
  .record({
    levels: fc.constantFrom(5, 60, 126, 127, 128, 129, 1_000, 10_000),
    open: fc.constantFrom("[", '{"c":', '{"tags":[', '[{"":'),
    isClosed: fc.integer({ min: 0, max: 9 }).map((draw) => draw > 0),
  })
  .map(({ levels, open, isClosed }) => {
    const close = [...open].reverse().flatMap((char) => (char === "[" ? ["]"] : char === "{" ? ["}"] : []));
    return `${open.repeat(levels)}1${isClosed ? close.join("").repeat(levels) : ""}`;
  });

const wide = fc
  .record({
    count: fc.constantFrom(10, 500, 3_000),
    kind: fc.constantFrom("same", "different", "members", "twins"),
  })
  .map(({ count, kind }) => {
    const items = Array.from({ length: count }, (_, index) => {
      if (kind === "same") return "1";
      if (kind === "different") return String(index);
      return kind === "members" ? `"m${index}":${index}` : `"m":${index}`;
    });
    return kind === "members" || kind === "twins" ? `{${items}}` : `[${items}]`;
  });

const scalar = fc.constantFrom(...numbers, ...strings, ...others);
const value = fc.oneof(
  { weight: 24, arbitrary: scalar },
  { weight: 1, arbitrary: fc.constantFrom(...broken) },
  { weight: 1, arbitrary: deep },
  { weight: 1, arbitrary: wide },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 20 }).map((text) => JSON.stringify(text)) },
  { weight: 2, arbitrary: fc.array(scalar, { maxLength: 5 }).map((items) => `[${items}]`) },
);
/** The columns of the typed topic get values of their type that may not fit. */
const fitting = fc.oneof(
  fc.tuple(fc.constantFrom("v", "n"), fc.constantFrom(...numbers)),
  fc.tuple(fc.constantFrom("s", "at"), fc.constantFrom(...strings)),
);
const member = fc
  .oneof(fc.tuple(fc.constantFrom(...names), value), fitting)
  .map(([name, text]) => `"${name}":${text}`);

/** Mostly with an id and a time, so that later checks are reached. */
const document = fc
  .record({
    id: fc.option(value, { freq: 8 }),
    isIdHostile: fc.integer({ min: 0, max: 7 }).map((draw) => draw === 0),
    number: fc.nat(),
    isTimeHostile: fc.integer({ min: 0, max: 7 }).map((draw) => draw === 0),
    time: value,
    members: fc.array(member, { maxLength: 5 }),
    isLast: fc.boolean(),
  })
  .map(({ id, isIdHostile, number, isTimeHostile, time, members, isLast }) => {
    const own = [
      `"id":${isIdHostile ? (id ?? "null") : `"${number}"`}`,
      `"ts":${isTimeHostile ? time : "1764346600000"}`,
    ];
    return `{${(isLast ? [...members, ...own] : [...own, ...members]).join()}}`;
  });

/** Changes of the bytes of a text on the way. */
type Damage = (bytes: Buffer, at: number) => Buffer;
const cutAt = (bytes: Buffer, at: number) => bytes.subarray(0, Math.floor(bytes.length * at));
const insertAt = (bytes: Buffer, at: number, inserted: number[]) =>
  Buffer.concat([cutAt(bytes, at), Buffer.from(inserted), bytes.subarray(Math.floor(bytes.length * at))]);
const damages: readonly Damage[] = [
  cutAt,
  (bytes, at) => insertAt(bytes, at, [0xc3, 0x28]),
  (bytes, at) => insertAt(bytes, at, [0xed, 0xa0, 0x80]),
  (bytes, at) => insertAt(bytes, at, [0xef, 0xbf, 0xbd]),
  (bytes, at) => insertAt(bytes, at, [0]),
  (bytes) => insertAt(bytes, 0, [0xef, 0xbb, 0xbf]),
  (bytes) => insertAt(bytes, 0, [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf]),
  (bytes) => Buffer.concat([bytes, bytes]),
  (bytes) => Buffer.from(bytes.toString("utf8"), "utf16le"),
  (bytes) => Buffer.concat([Buffer.alloc(5_000, " \n\t"), bytes, Buffer.alloc(5_000, " ")]),
];

/** A document or a part of it, with at most `maxBytes` bytes. */
export function hostileJson(maxBytes: number): fc.Arbitrary<Buffer> {
  const damage = fc.tuple(fc.constantFrom(...damages), fc.double({ min: 0, max: 1, noNaN: true }));
  return fc
    .tuple(
      fc.oneof({ weight: 9, arbitrary: document }, { weight: 1, arbitrary: value }),
      fc.option(damage, { freq: 1 }),
    )
    .map(([text, harm]) => {
      const bytes = Buffer.from(text, "utf8");
      const harmed = harm === null ? bytes : harm[0](bytes, harm[1]);
      return harmed.subarray(0, maxBytes);
    });
}
