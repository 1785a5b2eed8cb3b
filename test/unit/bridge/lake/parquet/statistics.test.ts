import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ColumnValue } from "../../../../../bridge/topics/column-value.ts";
import type { ColumnType } from "../../../../../bridge/topics/topic-catalog.ts";
import {
  addRows,
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
  type TestRow,
} from "../../../../support/test-lake.ts";

interface Statistics {
  readonly numRecords: number;
  readonly minValues?: Readonly<Record<string, unknown>>;
  readonly maxValues?: Readonly<Record<string, unknown>>;
  readonly nullCount?: Readonly<Record<string, number>>;
}

async function withLake(work: (lake: TestLake) => Promise<void>): Promise<void> {
  const lake = await openTestLake();
  try {
    await work(lake);
  } finally {
    await lake.close();
  }
}

/** The statistics text of the single file of these rows. */
async function statisticsOf(lake: TestLake, rows: readonly TestRow[]): Promise<string> {
  await addRows(lake.batch, rows);
  const [table] = Object.values((await lake.batch.write()).tables);
  assert.equal(table?.adds.length, 1);
  return table?.adds[0]?.stats ?? "";
}

/** Statistics of a column `v` with these values. */
async function columnStatistics(lake: TestLake, type: ColumnType, values: readonly ColumnValue[]) {
  const topic = makeTopic({ columns: [column("v", type)] });
  const rows = values.map((value, number) => ({ topic, row: makeRow(number), values: [value] }));
  const text = await statisticsOf(lake, rows);
  const { minValues, maxValues, nullCount } = JSON.parse(text) as Statistics;
  return { text, min: minValues?.["v"], max: maxValues?.["v"], nulls: nullCount?.["v"] };
}

const notBinary = [
  "device_id",
  "topic",
  "event_time",
  "ingest_time",
  "payload_crc",
  "event_time_outside",
  "_stream",
  "_partition",
  "_position",
  "_index",
  "_stream_time",
];

test("each column that is not binary has bounds", () =>
  withLake(async (lake) => {
    const rows = [
      { row: makeRow(1, { payloadCrc: -5, index: 3 }) },
      { row: makeRow(2, { payloadCrc: 7, index: 8, messageId: null, eventTimeOutside: false }) },
    ];
    const { numRecords, minValues, maxValues, nullCount } = JSON.parse(
      await statisticsOf(lake, rows),
    ) as Statistics;
    assert.equal(numRecords, 2);
    assert.deepEqual(Object.keys(minValues ?? {}).sort(), [...notBinary].sort());
    assert.deepEqual(Object.keys(maxValues ?? {}).sort(), [...notBinary].sort());
    assert.deepEqual(Object.keys(nullCount ?? {}).sort(), [...notBinary, "message_id", "payload"].sort());
    const boundsOf = (name: string) => [minValues?.[name], maxValues?.[name]];
    assert.deepEqual(boundsOf("payload_crc"), [-5, 7]);
    assert.deepEqual(boundsOf("_index"), [3, 8]);
    assert.deepEqual(boundsOf("event_time_outside"), [false, false]);
    assert.deepEqual(boundsOf("event_time"), ["2026-11-22T10:05:00.010Z", "2026-11-22T10:05:00.020Z"]);
    assert.deepEqual([nullCount?.["message_id"], nullCount?.["payload"], nullCount?.["topic"]], [1, 0, 0]);
  }));

test("longs keep all their digits", () =>
  withLake(async (lake) => {
    const { text } = await columnStatistics(lake, "long", [9_007_199_254_740_993n, -(2n ** 63n)]);
    assert.match(text, /"minValues":\{[^}]*"v":-9223372036854775808[,}]/);
    assert.match(text, /"maxValues":\{[^}]*"v":9007199254740993[,}]/);
  }));

test("booleans, doubles, and columns of nulls only", () =>
  withLake(async (lake) => {
    const mixed = await columnStatistics(lake, "boolean", [true, null, false]);
    assert.deepEqual([mixed.min, mixed.max, mixed.nulls], [false, true, 1]);
    const alike = await columnStatistics(lake, "boolean", [true, true]);
    assert.deepEqual([alike.min, alike.max], [true, true]);
    const double = await columnStatistics(lake, "double", [0.1, -1e-300, 1e300]);
    assert.deepEqual([double.min, double.max], [-1e-300, 1e300]);
    for (const type of ["boolean", "long", "double", "string", "timestamp"] as const) {
      const { min, max, nulls } = await columnStatistics(lake, type, [null, null]);
      assert.deepEqual([min, max, nulls], [undefined, undefined, 2], type);
    }
  }));

test("times are cut to milliseconds below, and rounded up above", () =>
  withLake(async (lake) => {
    const start = startMs * 1000;
    const some = await columnStatistics(lake, "timestamp", [start + 1, start + 1001]);
    assert.deepEqual([some.min, some.max], ["2026-11-22T10:05:00.000Z", "2026-11-22T10:05:00.002Z"]);
    const whole = await columnStatistics(lake, "timestamp", [start + 1000, start + 2000]);
    assert.deepEqual([whole.min, whole.max], ["2026-11-22T10:05:00.001Z", "2026-11-22T10:05:00.002Z"]);
    const carried = await columnStatistics(lake, "timestamp", [
      Date.UTC(2026, 11, 31, 23, 59, 59, 999) * 1000 + 1,
    ]);
    assert.equal(carried.max, "2027-01-01T00:00:00.000Z");
    const ends = await columnStatistics(lake, "timestamp", [
      -62_135_596_800_000_000n,
      253_402_300_799_999_999n,
    ]);
    assert.deepEqual([ends.min, ends.max], ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999999Z"]);
    const last = await columnStatistics(lake, "timestamp", [253_402_300_799_999_100n]);
    assert.equal(last.max, "9999-12-31T23:59:59.999100Z");
  }));

test("long texts are cut at a character; the upper bound is the text after all that begin with it", () =>
  withLake(async (lake) => {
    const cases: readonly (readonly [text: string, min: string, max: string])[] = [
      ["x".repeat(32), "x".repeat(32), "x".repeat(32)],
      ["x".repeat(33), "x".repeat(32), `${"x".repeat(31)}y`],
      ["🚀".repeat(33), "🚀".repeat(32), `${"🚀".repeat(31)}🚁`],
      [`${"x".repeat(31)}\ud7ff!`, `${"x".repeat(31)}\ud7ff`, `${"x".repeat(31)}\ue000`],
      [`${"x".repeat(30)}y\u{10ffff}!`, `${"x".repeat(30)}y\u{10ffff}`, `${"x".repeat(30)}z`],
      [`x${"\u{10ffff}".repeat(40)}`, `x${"\u{10ffff}".repeat(31)}`, "y"],
    ];
    for (const [text, least, most] of cases) {
      const { min, max } = await columnStatistics(lake, "string", [text]);
      assert.deepEqual([min, max], [least, most], text);
    }
  }));

test("a file with a column without bounds has only its row count", () =>
  withLake(async (lake) => {
    const unbounded: readonly (readonly [ColumnType, ColumnValue])[] = [
      ["string", "\u{10ffff}".repeat(40)],
      ["string", "🚀".repeat(1000)],
      ["double", Number.POSITIVE_INFINITY],
      ["double", Number.NaN],
    ];
    for (const [type, value] of unbounded)
      assert.equal((await columnStatistics(lake, type, [value])).text, '{"numRecords":1}', String(value));
  }));

const typesOfProperty = ["long", "double", "string", "timestamp", "boolean"] as const;
const rowOfProperty = fc.tuple(
  fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0)),
  fc.option(fc.string({ unit: "binary", maxLength: 60 }).filter((text) => text.isWellFormed())),
  fc.option(fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n })),
  fc.option(fc.boolean()),
);

/** Negative if `left` is before `right`, as readers compare. */
function compareBound(type: ColumnType, left: ColumnValue, right: unknown): number {
  if (type === "string") return Buffer.compare(Buffer.from(String(left)), Buffer.from(String(right)));
  const other = type === "timestamp" ? microsecondsOfText(String(right)) : right;
  const value = left as number | bigint;
  return value < (other as number) ? -1 : value > (other as number) ? 1 : 0;
}

function microsecondsOfText(text: string): bigint {
  return BigInt(Date.parse(text)) * 1000n + BigInt(/\.\d{3}(\d{3})Z$/.exec(text)?.[1] ?? 0);
}

test("property: no value is outside the bounds of its file", () =>
  withLake(async (lake) => {
    const topic = makeTopic({ columns: typesOfProperty.map((type) => column(type, type)) });
    await fc.assert(
      fc.asyncProperty(fc.array(rowOfProperty, { minLength: 1, maxLength: 20 }), async (rows) => {
        const text = await statisticsOf(
          lake,
          rows.map((values, number) => ({ topic, row: makeRow(number), values })),
        );
        const exact = text.replace(/("long":)(-?\d+)/g, '$1"$2"');
        const { minValues, maxValues, nullCount } = JSON.parse(exact) as Statistics;
        for (const [index, type] of typesOfProperty.entries()) {
          const values = rows.map((row) => row[index] ?? null).filter((value) => value !== null);
          if (nullCount) assert.equal(Number(nullCount[type]), rows.length - values.length);
          const [min, max] = [minValues?.[type], maxValues?.[type]].map((bound) =>
            type === "long" && bound !== undefined ? BigInt(bound as string) : bound,
          );
          for (const value of minValues ? values : []) {
            assert.ok(compareBound(type, value, min) >= 0, `${String(value)} is below ${String(min)}`);
            assert.ok(compareBound(type, value, max) <= 0, `${String(value)} is above ${String(max)}`);
          }
        }
      }),
      { numRuns: 60 },
    );
  }));
