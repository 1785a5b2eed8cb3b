import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { readTableSnapshots } from "../../bridge/lake/query/table-snapshots.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { writeTopicVersion } from "../../bridge/lake/topic-versions.ts";
import type { TypedColumn } from "../../bridge/topics/topic-catalog.ts";
import { deltaRsMissing, readWithDeltaRs } from "../support/delta-rs.ts";
import { EmbeddedPipeline } from "../support/embedded-pipeline.ts";
import { topicVersion } from "../support/topic-version.ts";

const messagesTotal = 1500;
const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const schema = {
  type: "object",
  properties: {
    long: { type: "integer" },
    double: { type: "number" },
    text: { type: "string" },
    time: { type: "string", format: "date-time" },
    flag: { type: "boolean" },
  },
};
const columns: readonly TypedColumn[] = [
  { name: "long", type: "long" },
  { name: "double", type: "double" },
  { name: "text", type: "string" },
  { name: "time", type: "timestamp" },
  { name: "flag", type: "boolean" },
];

/**
 * JSON text, and the value that must be filed for it: longs and times as bigints (µs). undefined = no value
 * can be filed.
 */
interface Sent {
  readonly text: string;
  readonly filed: bigint | number | string | boolean | undefined;
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const long = fc.oneof(
  int64.map((value): Sent => ({ text: String(value), filed: value })),
  fc.integer().map((value): Sent => ({ text: `${value}.0`, filed: BigInt(value) })),
  fc.nat(18).map((power): Sent => ({ text: `1e${power}`, filed: 10n ** BigInt(power) })),
  fc
    .constantFrom("1e19", "1e400", "9223372036854775808", "0.5", "1e-400", "1.00000000000000000001")
    .map((text): Sent => ({ text, filed: undefined })),
);
const double = fc.oneof(
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value): Sent => ({ text: Object.is(value, -0) ? "-0.0" : String(value), filed: value + 0 })),
  int64.map((value): Sent => ({ text: String(value), filed: Number(value) })),
  fc.constantFrom("-0.0", "-1e-400").map((text): Sent => ({ text, filed: 0 })),
  fc.constantFrom("1e400", "-1e309").map((text): Sent => ({ text, filed: undefined })),
);
const text = fc.oneof(
  fc
    .string({ unit: "grapheme", maxLength: 300 })
    .map((value): Sent => ({ text: JSON.stringify(value), filed: value })),
  fc.constantFrom('"\\ud800"', '"x\\udfffy"').map((value): Sent => ({ text: value, filed: undefined })),
);
const time = fc.oneof(
  fc
    .tuple(
      fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }),
      fc.constantFrom("T", "t", " "),
      fc.constantFrom("Z", "z", "-00:00", "+00:00"),
      fc.stringMatching(/^[0-9]{0,4}$/),
    )
    .map(([filed, middle, zone, finer]): Sent => {
      const ofMs = ((filed % 1000n) + 1000n) % 1000n;
      const iso = new Date(Number((filed - ofMs) / 1000n)).toISOString();
      const digits = `${String(ofMs).padStart(3, "0")}${finer}`;
      return { text: `"${iso.replace("T", middle).replace("Z", digits + zone)}"`, filed };
    }),
  fc
    .constantFrom(
      "2026-02-30T12:00:00Z",
      "0000-01-01T00:00:00Z",
      "10000-01-01T00:00:00Z",
      "2026-11-28T24:00:00Z",
    )
    .map((value): Sent => ({ text: `"${value}"`, filed: undefined })),
);
const flag = fc.boolean().map((filed): Sent => ({ text: String(filed), filed }));
const message = fc.record({ long, double, text, time, flag });
type Message = Record<keyof typeof schema.properties, Sent>;

const names = Object.keys(schema.properties) as (keyof Message)[];
const eventTimeMs = Date.now();

/** The values of a message that a table shows, by the message's id. */
type Shown = ReadonlyMap<string, readonly unknown[]>;

describe(`filed values are read back equal, and other values are quarantined with their path (seed ${seed})`, () => {
  // With a bad value in each message, few messages would be filed.
  const mostlyGood = (sent: Message, index: number) =>
    index % 4 === 0 || names.every((name) => sent[name].filed !== undefined);
  const messages = fc
    .sample(message, { numRuns: messagesTotal, seed })
    .filter((sent, index) => mostlyGood(sent, index));
  const expected = new Map(
    messages.map((sent, index) => [`m${index}`, names.map((name) => sent[name].filed)] as const),
  );
  const good = new Map([...expected].filter(([, values]) => !values.includes(undefined)));
  let pipeline: EmbeddedPipeline;

  before(async () => {
    pipeline = await EmbeddedPipeline.open(1);
    const store = await openLocalStore(join(pipeline.folder, "lake"));
    await writeTopicVersion(store, { ...topicVersion({ version: 2, schema, columns }) });
    const sent = messages.map((values, index) => {
      const fields = names.map((name) => `"${name}":${values[name].text}`).join(",");
      const payload = Buffer.from(`{"id":"m${index}","ts":${eventTimeMs},${fields}}`);
      return { topicId: "t1", topicVersion: 2, topicName: "t", deviceId: "d", qos: 1 as const, payload };
    });
    for (let at = 0; at < sent.length; at += 100) await pipeline.append(0, sent.slice(at, at + 100));
    await pipeline.drain();
  });
  after(() => pipeline.close());

  test("most messages are filed, and some are not", () => {
    assert.ok(good.size > 100 && expected.size - good.size > 20, `${good.size} of ${expected.size}`);
  });

  test("hyparquet reads the filed values", async () => {
    const store = await openLocalStore(join(pipeline.folder, "lake"));
    const table = (await readTableSnapshots(store)).find(({ name }) => name === "telemetry");
    const shown = new Map<string, readonly unknown[]>();
    for (const { path } of table?.files ?? []) {
      const bytes = readFileSync(join(pipeline.folder, "lake", path));
      const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
      const parsers = { timestampFromMicroseconds: (us: bigint) => us };
      for (const row of await parquetReadObjects({ file, compressors, utf8: false, parsers }))
        shown.set(
          Buffer.from(row["message_id"] as Uint8Array).toString(),
          names.map((name) => row[name]),
        );
    }
    assertShown(shown);
  });

  test("delta-rs with pyarrow reads the filed values", { skip: deltaRsMissing() }, () => {
    const { sample } = readWithDeltaRs(join(pipeline.folder, "lake", "telemetry"), { rows: messagesTotal });
    const shown = sample.map((row): [string, readonly unknown[]] => [
      Buffer.from(String(row["message_id"]), "hex").toString(),
      [BigInt(String(row["long"])), row["double"], row["text"], micros(String(row["time"])), row["flag"]],
    ]);
    assertShown(new Map(shown));
  });

  test("_quarantine has the path of each value that could not be filed", async () => {
    const rows = await pipeline.query("SELECT decode(message_id), reason, detail FROM _quarantine");
    const bad = [...expected].filter(([id]) => !good.has(id));
    assert.equal(rows.length, bad.length);
    const byId = new Map(rows.map(([id, ...facts]) => [id, facts]));
    for (const [id, values] of bad) {
      const [reason, detail] = byId.get(id) ?? [];
      const paths = names.flatMap((name, index) => (values[index] === undefined ? [`/${name} `] : []));
      assert.equal(reason, "schema-violated");
      assert.ok(
        paths.some((path) => String(detail).startsWith(path)),
        `${id}: ${String(detail)}, not ${paths}`,
      );
    }
  });

  function assertShown(shown: Shown): void {
    assert.deepEqual([...shown.keys()].sort(), [...good.keys()].sort());
    for (const [id, values] of good)
      for (const [index, value] of values.entries())
        assert.ok(Object.is(shown.get(id)?.[index], value), `${id} ${names[index]}: ${String(value)}`);
  }
});

/** Python's isoformat: no fraction if it is 0. */
function micros(iso: string): bigint {
  const [, seconds = "", fraction = "0"] = /^(.*:\d\d)(?:\.(\d{6}))?\+00:00$/.exec(iso) ?? [];
  return BigInt(Date.parse(`${seconds}Z`)) * 1000n + BigInt(fraction);
}

describe("small inputs that once failed", () => {
  let pipeline: EmbeddedPipeline;
  const now = Date.now();
  const cases: readonly (readonly [name: string, payload: string])[] = [
    ["d1", '{"id":"d1","ts":"2026-02-30T12:00:00Z"}'],
    ["i1", `{"id":"i1","ts":${now},"v":1e400}`],
    ["i2", `{"id":"i2","ts":${now},"n":1640992921119120400}`],
    ["b1", `\ufeff{"id":"b1","ts":${now}}`],
  ];
  before(async () => {
    pipeline = await EmbeddedPipeline.open(1);
    const store = await openLocalStore(join(pipeline.folder, "lake"));
    const small = { type: "object", properties: { v: { type: "number" }, n: { type: "integer" } } };
    const smallColumns = [
      { name: "v", type: "double" as const },
      { name: "n", type: "long" as const },
    ];
    await writeTopicVersion(store, { ...topicVersion({ version: 2, schema: small, columns: smallColumns }) });
    const sent = cases.map(([, payload]) => ({
      topicId: "t1",
      topicVersion: 2,
      topicName: "t",
      deviceId: "d",
      qos: 1 as const,
      payload: Buffer.from(payload),
    }));
    await pipeline.append(0, sent);
    await pipeline.drain();
  });
  after(() => pipeline.close());

  test("a nonexistent day, a number beyond doubles, a number beyond 2^53 and a byte order mark are handled", async () => {
    assert.deepEqual(await pipeline.query("SELECT decode(message_id), n FROM telemetry ORDER BY 1"), [
      ["b1", null],
      ["i2", "1640992921119120400"],
    ]);
    const quarantined = await pipeline.query(
      "SELECT decode(message_id), reason, split_part(detail, ' ', 1) FROM _quarantine ORDER BY 1",
    );
    assert.deepEqual(quarantined, [
      ["d1", "event-time-unreadable", "ts"],
      ["i1", "schema-violated", "/v"],
    ]);
  });
});
