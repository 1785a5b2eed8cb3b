import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { ColumnValue } from "../../bridge/topics/column-value.ts";
import { changeWithDeltaRs, deltaRsMissing } from "../support/delta-rs.ts";
import {
  type FilteredTable,
  filterTable,
  outsideReaders,
  outsideReadersMissing,
} from "../support/outside-readers.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
  type TestRow,
} from "../support/test-lake.ts";

const missing = outsideReadersMissing();
const present = outsideReaders.filter((reader) => missing[reader] === false);
for (const reader of outsideReaders)
  if (missing[reader]) console.log(`${reader}: skipped, ${missing[reader]}`);

const hourMs = 3_600_000;
const firstColumns = [column("level", "long"), column("none", "double")];
const allColumns = [
  ...firstColumns,
  column("ratio", "double"),
  column("note", "string"),
  column("seen", "timestamp"),
  column("on", "boolean"),
  column("off", "boolean"),
  column('odd/~*"name', "long"),
];
const first = makeTopic({ columns: firstColumns });
const second = makeTopic({ version: 2, columns: allColumns });

/** Rows of version 1, partly flagged as outside, partly without an id or a value. */
function firstRows(): TestRow[] {
  return Array.from({ length: 20 }, (_, number) => {
    const eventTimeMicros = number === 19 ? 999 : number;
    const messageId = number % 3 === 0 ? null : Buffer.from(`message-${number}`);
    const row = makeRow(number, { eventTimeMicros, messageId, eventTimeOutside: number % 5 === 0 });
    const level = number % 4 === 0 ? null : 9_007_199_254_740_993n + BigInt(number);
    return { topic: first, row, values: [level, null] };
  });
}

const notes = [
  "",
  "x".repeat(40),
  "🚀".repeat(33),
  "NUL \u0000 and 'quotes'",
  `${"y".repeat(31)}\u{10ffff}z`,
];
const moments = [-62_135_596_800_000_000n, -1n, BigInt(startMs) * 1000n + 999n, 253_402_300_799_999_999n];

/** Rows of version 2 with values at the ends of their types. */
function secondRows(fromHour: number): TestRow[] {
  return Array.from({ length: 20 }, (_, number) => {
    const time = { eventTimeMs: startMs + fromHour * hourMs + number * 10, eventTimeMicros: number * 7 };
    const values: ColumnValue[] = [
      number === 3 ? -(2n ** 63n) : number === 4 ? 2n ** 63n - 1n : number,
      null,
      number % 3 === 0 ? null : number === 4 ? Number.MAX_VALUE : (number - 10) / 3,
      number % 6 === 5 ? null : (notes[number % notes.length] ?? null),
      moments[number % 5] ?? null,
      number % 2 === 0,
      number % 2 === 0 ? false : null,
      number,
    ];
    return { topic: second, row: makeRow(100 + number, time), values };
  });
}

/** One test for each reader, of a table that all readers filter once. */
function testReaders(table: () => string): void {
  let filtered: Promise<FilteredTable> | undefined;
  for (const reader of outsideReaders)
    test(reader, { skip: missing[reader] }, async () => {
      filtered ??= filterTable(table(), present);
      const { wrong, filters } = await filtered;
      assert.ok(filters > 100, `${filters} filters`);
      assert.deepEqual(wrong[reader], []);
    });
}

describe("each filter on each column finds the same rows as a scan of all rows", () => {
  let lake: TestLake;
  before(async () => {
    lake = await openTestLake([first, second]);
    await lake.commit(firstRows());
    await lake.commit(secondRows(1));
    const facts = { reason: "schema-violated", detail: "d".repeat(400), topicId: "topic-1", topicVersion: 1 };
    const quarantined = firstRows().map(({ row }): TestRow => ({ row, facts }));
    await lake.commit([...secondRows(2), ...quarantined]);
    // Later files of an older topic version lack the columns of the newer one.
    await lake.commit(firstRows().map(({ row, ...more }) => ({ ...more, row: { ...row, messageId: null } })));
  });
  after(() => lake.close());
  const tableFolder = () => join(lake.folder, "telemetry");

  describe("in a table with columns of every type, some with only nulls, some added later", () => {
    testReaders(tableFolder);
  });

  test("a checkpoint of the same publishing completed the columns that were added later", () => {
    const files = readdirSync(join(tableFolder(), "_delta_log"));
    assert.deepEqual(
      files.filter((file) => file.includes("checkpoint")),
      ["00000000000000000001.checkpoint.parquet", "_last_checkpoint"],
    );
  });

  describe("in _quarantine", () => {
    testReaders(() => join(lake.folder, "_quarantine"));
  });
});

/** Statistics as version 0.1.0 wrote them. */
function asOf010(stats: string): string {
  const unbounded = "payload_crc|_index|event_time_outside|on|off";
  return stats
    .replaceAll(new RegExp(`"(?:${unbounded})":(?:true|false|-?\\d+),?`, "g"), (member, at: number) =>
      at > stats.indexOf('"nullCount"') ? member : "",
    )
    .replaceAll(",}", "}");
}

function rewriteStatistics(table: string, entry: number, rewrite: (stats: string) => string): void {
  const path = join(table, "_delta_log", `${String(entry).padStart(20, "0")}.json`);
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  const rewritten = lines.map((line) => {
    const action = JSON.parse(line) as { add?: { stats: string } };
    if (action.add) action.add.stats = rewrite(action.add.stats);
    return `${JSON.stringify(action)}\n`;
  });
  writeFileSync(path, rewritten.join(""));
}

describe("statistics of version 0.1.0", () => {
  let lake: TestLake;
  const tableFolder = () => join(lake.folder, "telemetry");

  /** Publishes another commit by a publisher that writes a checkpoint each time. */
  async function checkpoint(): Promise<void> {
    await lake.commit(secondRows(5), { publish: false });
    await lake.openPublisher({ checkpointEntries: 1 }).publishPending();
  }

  before(async () => {
    lake = await openTestLake([first, second]);
    await lake.commit([...secondRows(1), ...firstRows()]);
    await lake.commit(secondRows(2));
    for (const entry of [0, 1]) rewriteStatistics(tableFolder(), entry, asOf010);
  });
  after(() => lake.close());

  const reader = "delta-rs filters";
  test("delta-rs finds no rows by the columns without bounds", { skip: missing[reader] }, async () => {
    const { wrong } = await filterTable(tableFolder(), [reader]);
    const columns = new Set(wrong[reader]?.map((filter) => filter.split(" ")[0]));
    assert.deepEqual([...columns].sort(), ["_index", "event_time_outside", "off", "on", "payload_crc"]);
  });

  describe("are complete after a checkpoint that continues one of another writer", () => {
    before(async () => {
      if (!deltaRsMissing()) changeWithDeltaRs(tableFolder(), "checkpoint");
      await checkpoint();
    });
    testReaders(tableFolder);
  });

  describe("stay complete after a checkpoint that continues our own, with files of delta-rs", () => {
    before(async () => {
      for (const change of ["append", "add-column", "compact"] as const)
        if (!deltaRsMissing()) changeWithDeltaRs(tableFolder(), change);
      await checkpoint();
      await checkpoint();
    });
    testReaders(tableFolder);
  });
});
