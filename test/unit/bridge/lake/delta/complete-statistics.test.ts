import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { withAbsentColumns } from "../../../../../bridge/lake/delta/absent-columns.ts";
import { withCompleteStatistics } from "../../../../../bridge/lake/delta/checkpoints/complete-statistics.ts";
import { type Duckdb, openDuckdb, quoteText } from "../../../../../bridge/lake/parquet/duckdb.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-statistics-"));
let duckdb: Duckdb;
before(async () => {
  duckdb = await openDuckdb({
    memoryLimitBytes: 128 * 1024 ** 2,
    spillFolder: join(folder, "spill"),
    threads: 1,
  });
});
after(async () => {
  await duckdb.close();
  rmSync(folder, { recursive: true, force: true });
});

const columns = [
  { name: "id", type: "binary" },
  { name: "n", type: "long" },
  { name: 'o/~"*', type: "boolean" },
  { name: "s", type: "string" },
];
const ours = "event_date=2026-11-22/event_hour=10/00000000-0000-0000-0000-000000000000.parquet";
const theirs = "event_date=2026-11-22/event_hour=10/part-00001-0-c000.snappy.parquet";

async function complete(stats: string | null, path = ours): Promise<string | null> {
  const text = stats === null ? "NULL::VARCHAR" : quoteText(stats);
  const select = `SELECT {path: ${quoteText(path)}, stats: ${text}} AS "add", 1 AS other`;
  const result = await duckdb.connection.runAndReadAll(
    withCompleteStatistics(select, ["path", "stats"], columns),
  );
  const [row = {}] = result.getRowObjectsJson();
  assert.deepEqual(Object.keys(row), ["add", "other"]);
  return (row["add"] as { stats: string | null }).stats;
}

const minValues = { n: -3, 'o/~"*': false, s: "a" };
const maxValues = { n: 4, 'o/~"*': true, s: "b" };
const nullCount = { id: 0, n: 0, 'o/~"*': 0, s: 0 };
const whole = { numRecords: 5, minValues, maxValues, nullCount };

test("complete statistics stay, and so does a lone row count", async () => {
  assert.deepEqual(JSON.parse((await complete(JSON.stringify(whole))) ?? ""), whole);
  for (const stats of [null, '{"numRecords":5}', "{}", '{"numRecords":5,"minValues":{}}'])
    assert.equal(await complete(stats), stats);
});

test("columns of nulls only need no bounds", async () => {
  const stats = { numRecords: 5, minValues: {}, maxValues: {}, nullCount: { id: 5, n: 5, 'o/~"*': 5, s: 5 } };
  assert.deepEqual(JSON.parse((await complete(JSON.stringify(stats))) ?? ""), stats);
});

test("integers and booleans without bounds get the widest ones", async () => {
  const stats = { ...whole, minValues: { s: "a" }, maxValues: { s: "b" } };
  assert.equal(
    await complete(JSON.stringify(stats)),
    `{"numRecords":5,"nullCount":${JSON.stringify(nullCount)},` +
      `"minValues":{"s":"a","n":-9223372036854775808,"o/~\\"*":false},` +
      `"maxValues":{"s":"b","n":9223372036854775807,"o/~\\"*":true}}`,
  );
});

test("longs keep their digits", async () => {
  const text = `{"numRecords":5,"minValues":{"n":-9007199254740993},"maxValues":{"n":9007199254740993},"nullCount":{"id":0,"n":0,"s":5}}`;
  const completed = await complete(text);
  assert.match(completed ?? "", /"n":-9007199254740993\}.*"n":9007199254740993\}/);
  assert.deepEqual(JSON.parse(completed ?? "").nullCount, { id: 0, n: 0, s: 5, 'o/~"*': 5 });
});

test("a file of ours lacks the columns that it does not count; of other files nothing is known", async () => {
  const stats = JSON.stringify({ ...whole, nullCount: { id: 0, n: 0, 'o/~"*': 0 } });
  assert.equal(JSON.parse((await complete(stats)) ?? "").nullCount.s, 5);
  assert.equal(await complete(stats, theirs), '{"numRecords":5}');
});

test("a text without bounds reduces the statistics to the row count", async () => {
  const stats = JSON.stringify({ ...whole, maxValues: { n: 4, 'o/~"*': true } });
  assert.equal(await complete(stats), '{"numRecords":5}');
});

test("a new file's statistics count the rows as nulls of columns that it lacks", () => {
  const text = `{"numRecords":5,"minValues":{"n":9007199254740993},"maxValues":{},"nullCount":{"id":0,"n":0}}`;
  assert.equal(
    withAbsentColumns(text, 5, columns),
    text.replace('"nullCount":{', '"nullCount":{"o/~\\"*":5,"s":5,'),
  );
  assert.equal(withAbsentColumns('{"numRecords":5}', 5, columns), '{"numRecords":5}');
  assert.equal(withAbsentColumns(JSON.stringify(whole), 5, columns), JSON.stringify(whole));
});
