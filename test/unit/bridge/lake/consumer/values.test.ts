import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  hasLongNumber,
  parseWithNumbersAsText,
} from "../../../../../bridge/decoders/document/json-numbers.ts";
import type { ColumnValue } from "../../../../../bridge/topics/column-value.ts";
import type { ColumnType } from "../../../../../bridge/topics/topic-catalog.ts";
import { FullJudge } from "../../../../support/full-judge.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

const ingestTimeMs = Date.UTC(2026, 10, 28);
const place = { streamId: "s", partition: 0, position: "p", ingestTimeMs, streamTimeMs: 5, rowTimeMs: 7 };

const propertySchemas: Record<ColumnType, Readonly<Record<string, unknown>>> = {
  boolean: { type: "boolean" },
  long: { type: "integer" },
  double: { type: "number" },
  string: { type: "string" },
  timestamp: { type: "string", format: "date-time" },
};

function judgeText(text: string, topic = topicVersion(), judge = new FullJudge()) {
  const { topicId, version } = topic;
  const payload = Buffer.from(text);
  const message = { topicId, topicVersion: version, topicName: "t", deviceId: "d", qos: 1 as const, payload };
  return judge.judge(message, 0, topic, place);
}

/** Cached by schema: compiling one takes 20 ms. */
const judges = new Map<
  string,
  { readonly topic: ReturnType<typeof topicVersion>; readonly judge: FullJudge }
>();

function judgeOf(type: ColumnType, schema: Readonly<Record<string, unknown>>) {
  const key = JSON.stringify(schema);
  const known = judges.get(key);
  if (known) return known;
  const made = { topic: topicVersion({ schema, columns: [{ name: "v", type }] }), judge: new FullJudge() };
  judges.set(key, made);
  return made;
}

/** The value of a column `v` for `text`, or the violation. */
function fileValue(type: ColumnType, text: string, more: object = {}): ColumnValue | { detail: string } {
  const schema = { type: "object", properties: { v: { ...propertySchemas[type], ...more } } };
  const { topic, judge } = judgeOf(type, schema);
  const { values, fault } = judgeText(`{"id":"a","ts":${ingestTimeMs},"v":${text}}`, topic, judge);
  if (fault === null) return values[0] as ColumnValue;
  assert.equal(fault.reason, "schema-violated");
  return { detail: fault.detail };
}

const refused = "refused";
const noonUs = Date.UTC(2026, 10, 28, 12) * 1000;

const cases: readonly (readonly [ColumnType, text: string, ColumnValue | typeof refused])[] = [
  ["long", "0", 0],
  ["long", "-0", 0],
  ["long", "-0.0", 0],
  ["long", "1.0", 1],
  ["long", "1e3", 1000],
  ["long", "12.5e1", 125],
  ["long", "120e-1", 12],
  ["long", "9007199254740991", 9_007_199_254_740_991],
  ["long", "9007199254740993", 9_007_199_254_740_993n],
  ["long", "9007199254740993.0", 9_007_199_254_740_993n],
  ["long", "900719925474099.3e1", 9_007_199_254_740_993n],
  ["long", "1640992921119120400", 1_640_992_921_119_120_400n],
  ["long", "9223372036854775807", 2n ** 63n - 1n],
  ["long", "-9223372036854775808", -(2n ** 63n)],
  ["long", "1e18", 10n ** 18n],
  ["long", `1${"0".repeat(30)}e-30`, 1],
  ["long", "9223372036854775808", refused],
  ["long", "-9223372036854775809", refused],
  ["long", "1e19", refused],
  ["long", "1e400", refused],
  ["long", "1e99999999999999999999", refused],
  ["long", "9".repeat(10_000), refused],
  ["long", "1.5", refused],
  ["long", "1.00000000000000000001", refused],
  ["long", "4503599627370497.3", refused],
  ["long", "9007199254740993.5", refused],
  ["long", "1e-400", refused],
  ["long", "-1E-400", refused],
  ["long", '"7"', refused],
  ["long", "true", refused],
  ["double", "0.1", 0.1],
  ["double", "-0.0", 0],
  ["double", "-0", 0],
  ["double", "1e-400", 0],
  ["double", "-1e-400", 0],
  ["double", "5e-324", 5e-324],
  ["double", "1.7976931348623157e308", Number.MAX_VALUE],
  ["double", "0.1000000000000000055511151231257827", 0.1],
  ["double", "9007199254740993", 9_007_199_254_740_992],
  ["double", "1e400", refused],
  ["double", "-1e400", refused],
  ["double", "1.7976931348623159e308", refused],
  ["double", '"NaN"', refused],
  ["boolean", "false", false],
  ["boolean", "0", refused],
  ["string", '"ü🚀"', "ü🚀"],
  ["string", '"\\ud83d\\ude80"', "🚀"],
  ["string", '"a\\u0000b"', "a\u0000b"],
  ["string", '"\uFFFD"', "\uFFFD"],
  ["string", '"\\ud800"', refused],
  ["string", '"a\\udc00b"', refused],
  ["string", "1", refused],
  ["timestamp", '"2026-11-28T12:00:00Z"', noonUs],
  ["timestamp", '"2026-11-28 12:00:00.123456789z"', noonUs + 123_456],
  ["timestamp", '"9999-12-31T23:59:59.999999Z"', 253_402_300_799_999_999n],
  ["timestamp", '"0001-01-01T00:00:00Z"', -62_135_596_800_000_000n],
  ["timestamp", '"2026-02-30T12:00:00Z"', refused],
  ["timestamp", '"0000-06-01T12:00:00Z"', refused],
  ["timestamp", '"10000-01-01T00:00:00Z"', refused],
  ["timestamp", '"2026-11-28T24:00:00Z"', refused],
  ["timestamp", '"2026-11-28T12:00:00"', refused],
  ["timestamp", "1795867200000", refused],
];

describe("a column holds the value that was sent, or the message violates the schema at its path", () => {
  for (const [type, text, expected] of cases)
    test(`${type}: ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`, () => {
      const filed = fileValue(type, text);
      if (expected !== refused) assert.ok(Object.is(filed, expected), `${String(filed)} is filed`);
      else assert.match((filed as { detail: string }).detail, /^\/v /);
    });
});

test("a violation's path is a JSON pointer", () => {
  const schema = { type: "object", properties: { "a/b~c": { type: "number" } } };
  const topic = topicVersion({ schema, columns: [{ name: "a/b~c", type: "double" }] });
  const { fault } = judgeText(`{"id":"a","ts":1,"a/b~c":1e400}`, topic);
  assert.match(fault?.detail ?? "", /^\/a~1b~0c does not fit a column of type double/);
});

test("of equal names the last one counts, with its digits", () => {
  const twice = '9007199254740993,"v":9007199254740995';
  assert.equal(fileValue("long", twice), 9_007_199_254_740_995n);
  assert.equal(fileValue("long", '9007199254740993,"v":5'), 5);
  assert.equal(fileValue("long", '{"v":1e400},"v":9007199254740995'), 9_007_199_254_740_995n);
});

describe("a schema's bounds hold for the number that was sent", () => {
  const judged = (text: string, more: object) => typeof fileValue("long", text, more) !== "object";
  const over = 2 ** 53;
  test("maximum, minimum and their exclusive forms", () => {
    assert.equal(judged("9007199254740993", { maximum: over }), false);
    assert.equal(judged("9007199254740992", { maximum: over }), true);
    assert.equal(judged("9007199254740993", { exclusiveMinimum: over }), true);
    assert.equal(judged("9007199254740992", { exclusiveMinimum: over }), false);
    assert.equal(judged("-9007199254740993", { minimum: -over }), false);
    assert.equal(judged("-9007199254740993", { exclusiveMaximum: -over }), true);
    assert.equal(judged("9223372036854775807", { minimum: 0, maximum: 2 ** 63 }), true);
    const filed = fileValue("long", "9007199254740993", { maximum: over });
    assert.deepEqual(filed, { detail: "/v must be <= 9007199254740992" });
  });
  test("multipleOf", () => {
    assert.equal(judged("9007199254740993", { multipleOf: 3 }), true);
    assert.equal(judged("9007199254740993", { multipleOf: 2 }), false);
    assert.equal(judged("9007199254740994", { multipleOf: 2 }), true);
    assert.equal(typeof fileValue("double", "0.7500000000000000000", { multipleOf: 0.25 }), "number");
  });
  test("below the top, in lists, in references, at names that a pointer has to escape", () => {
    const schema = {
      $defs: { small: { type: "integer", maximum: over } },
      type: "object",
      properties: { "a/b~": { type: "array", items: { $ref: "#/$defs/small" } } },
    };
    const topic = topicVersion({ schema });
    const violation = (list: string) => judgeText(`{"id":"a","ts":1,"a/b~":${list}}`, topic).fault?.detail;
    assert.equal(violation("[1,9007199254740992]"), undefined);
    assert.match(violation("[1,9007199254740993]") ?? "", /^\/a~1b~0\/1 must be <= 9007199254740992/);
  });
});

describe("ids", () => {
  const idOf = (text: string) => {
    const { row, fault } = judgeText(`{"id":${text},"ts":1}`);
    return row.messageId === null ? fault?.reason : String(row.messageId);
  };
  test("a whole number above 2^53 is an id as it was written", () => {
    assert.equal(idOf("9007199254740993"), "9007199254740993");
    assert.equal(idOf("-9007199254740993"), "-9007199254740993");
    assert.equal(idOf("12345678901234567890123"), "12345678901234567890123");
    assert.equal(idOf("1e300"), "1e300");
    assert.equal(idOf("9".repeat(65)), "id-too-long");
  });
  test("up to there, equal numbers are one id", () => {
    for (const text of ["1000", "1e3", "1000.0", "1000.00000000000000"])
      assert.equal(idOf(text), "1000", text);
    assert.equal(idOf("-0"), "0");
  });
  test("a number that is not whole is not an id", () => {
    for (const text of ["1.5", "1.00000000000000000001", "9007199254740993.5"])
      assert.equal(idOf(text), "id-unreadable", text);
  });
});

describe("event times", () => {
  const timeOf = (text: string) => {
    const { row, fault } = judgeText(`{"id":"a","ts":${text}}`);
    return fault?.reason ?? [row.eventTimeMs, row.eventTimeMicros];
  };
  const unreadable = "event-time-unreadable";
  test("numbers are ms since the epoch, with a fraction to the microsecond", () => {
    assert.deepEqual(timeOf("1795867200123"), [1_795_867_200_123, 0]);
    assert.deepEqual(timeOf("1795867200123.456"), [1_795_867_200_123, 456]);
    assert.deepEqual(timeOf("1795867200123.9999999999"), [1_795_867_200_123, 999]);
    assert.deepEqual(timeOf("1.795867200123456e12"), [1_795_867_200_123, 456]);
    assert.deepEqual(timeOf("-0.001"), [-1, 999]);
    assert.ok(Object.is((timeOf("-0") as number[])[0], 0));
    assert.deepEqual(timeOf("253402300799999.999"), [253_402_300_799_999, 999]);
    for (const text of ["1e400", "-1e400", "253402300800000", "-62135596800000.001", `1${"0".repeat(500)}`])
      assert.equal(timeOf(text), unreadable, text);
  });
  test("text is RFC 3339, of a day that exists", () => {
    assert.deepEqual(timeOf('"2026-11-28T12:00:00.000001Z"'), [noonUs / 1000, 1]);
    assert.equal(timeOf('"2026-02-30T12:00:00Z"'), unreadable);
    assert.equal(timeOf('"0000-01-01T00:00:00Z"'), unreadable);
    assert.equal(timeOf('"1795867200000"'), unreadable);
  });
});

test("a byte order mark before the document is skipped, and stays in the payload", () => {
  const { row, fault } = judgeText(`\uFEFF{"id":"b1","ts":1}`);
  assert.deepEqual([fault, String(row.messageId)], [null, "b1"]);
  assert.deepEqual([...row.payload.subarray(0, 3)], [0xef, 0xbb, 0xbf]);
  assert.equal(judgeText(`\uFEFF\uFEFF{"id":"b1","ts":1}`).fault?.reason, "payload-undecodable");
});

const numberText = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.bigInt({ min: 0n, max: 10n ** 25n }).map(String),
    fc.oneof(
      fc.constant(""),
      fc.stringMatching(/^[0-9]{1,20}$/).map((digits) => `.${digits}`),
    ),
    fc.oneof(
      fc.constant(""),
      fc.tuple(fc.constantFrom("e", "E", "e+", "e-"), fc.nat(330)).map(([mark, power]) => mark + power),
    ),
  )
  .map((parts) => parts.join(""));

/** The value of a JSON number as a fraction. */
function exactly(text: string): readonly [numerator: bigint, denominator: bigint] {
  const [, sign = "", whole = "", fraction = "", power = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = BigInt(sign + whole + fraction);
  const exponent = Number(power) - fraction.length;
  return exponent < 0 ? [digits, 10n ** BigInt(-exponent)] : [digits * 10n ** BigInt(exponent), 1n];
}

test("property: a long is exactly the number that was sent, and refused if a long cannot hold it", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String), numberText),
      (text) => {
        const [numerator, denominator] = exactly(text);
        const value = numerator / denominator;
        const fits = value * denominator === numerator && BigInt.asIntN(64, value) === value;
        const filed = fileValue("long", text);
        if (fits) assert.equal(BigInt(filed as number | bigint), value);
        else assert.match((filed as { detail: string }).detail, /^\/v /);
      },
    ),
    { numRuns: 1000 },
  );
});

test("property: a double is the nearest one to the number that was sent, never -0 or infinite", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }).map(String), numberText),
      (text) => {
        const filed = fileValue("double", text);
        if (Number.isFinite(Number(text))) assert.ok(Object.is(filed, Number(text) + 0), text);
        else assert.match((filed as { detail: string }).detail, /^\/v /);
      },
    ),
    { numRuns: 1000 },
  );
});

/** A JSON text, and its value with numbers as their text. */
interface Written {
  readonly text: string;
  readonly value: unknown;
}
const writtenJson = fc.letrec<{ any: Written }>((tie) => ({
  any: fc.oneof(
    { depthSize: "small" },
    numberText.map((text) => ({ text, value: text })),
    fc.string({ unit: "binary" }).map((value) => ({ text: JSON.stringify(value), value })),
    fc.constantFrom(true, false, null).map((value) => ({ text: String(value), value })),
    fc.array(tie("any")).map((items) => ({
      text: `[ ${items.map(({ text }) => text).join(" , ")}]`,
      value: items.map(({ value }) => value),
    })),
    fc.dictionary(fc.string({ unit: "binary" }), tie("any")).map((entries) => ({
      text: `{${Object.entries(entries)
        .map(([name, { text }]) => `${JSON.stringify(name)}:${text}`)
        .join(",")}}`,
      value: Object.fromEntries(Object.entries(entries).map(([name, { value }]) => [name, value])),
    })),
  ),
})).any;

test("property: each number of a document is found with its digits, and nothing else changes", () => {
  fc.assert(
    fc.property(writtenJson, ({ text, value }) => {
      assert.deepEqual(parseWithNumbersAsText(text), value);
    }),
  );
});

test("property: no document without a run of 16 digits and points is parsed twice", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9.a]{0,64}$/), (text) => {
      assert.equal(hasLongNumber(text), /[\d.]{16}/.test(text));
    }),
    { numRuns: 2000 },
  );
});
