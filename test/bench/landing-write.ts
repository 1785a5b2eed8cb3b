/**
 * CPU of writing one batch: as one landing file, and as table files, for rows of 1, 200 and 1,000 topics.
 * ROUNDS=n sets how often (default 10). Prints one JSON object; ms are CPU time of this process, all threads,
 * kernel included, the median of the rounds.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalStore } from "../../bridge/lake/index.ts";
import { createParquetBatchWriter } from "../../bridge/lake/parquet/batch-writer.ts";
import type { Row } from "../../bridge/tail/row.ts";
import type { ColumnValue } from "../../bridge/topics/column-value.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { column, makeRow, makeTopic } from "../support/test-lake.ts";

const rounds = Number(process.env["ROUNDS"] ?? 10);
/** A batch of 5 s at 200 messages per second, and of 5 s at 16,700. */
const cases = [
  { topics: 1, rows: 1000 },
  { topics: 200, rows: 1000 },
  { topics: 1000, rows: 1000 },
  { topics: 1, rows: 83_500 },
  { topics: 200, rows: 83_500 },
] as const;
const columns = [
  column("temperature", "double"),
  column("count", "long"),
  column("state", "string"),
  column("ok", "boolean"),
];
const values: readonly ColumnValue[] = [21.5, 17n, "running", true];

interface Writer {
  add(topic: TopicVersion, row: Row, values: readonly ColumnValue[]): void | Promise<void>;
  write(): Promise<unknown>;
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((left, right) => left - right);
  return Math.round((sorted[Math.floor(sorted.length / 2)] ?? 0) * 10) / 10;
}

/** CPU ms of one batch, from the first row on. */
async function batchMs(writer: Writer, topics: readonly TopicVersion[], rows: readonly Row[]) {
  const before = process.cpuUsage();
  for (const [number, row] of rows.entries()) {
    const added = writer.add(topics[number % topics.length] as TopicVersion, row, values);
    if (added) await added;
  }
  await writer.write();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-landing-"));
const store = await openLocalStore(folder);
const writers = {
  landing: createParquetBatchWriter({ store, directBytes: Number.POSITIVE_INFINITY }),
  tables: createParquetBatchWriter({ store, directBytes: 0 }),
};
const results = [];
for (const { topics: count, rows: rowCount } of cases) {
  const topics = Array.from({ length: count }, (_, number) =>
    makeTopic({
      topicId: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
      name: `t${number}`,
      columns,
    }),
  );
  const rows = Array.from({ length: rowCount }, (_, number) =>
    makeRow(number, { eventTimeMs: makeRow(0).eventTimeMs + (number % 5000) }),
  );
  const costs: Record<keyof typeof writers, number[]> = { landing: [], tables: [] };
  for (let round = 0; round <= rounds; round++)
    for (const name of ["landing", "tables"] as const) {
      const ms = await batchMs(writers[name], topics, rows);
      if (round > 0) costs[name].push(ms);
    }
  results.push({
    topics: count,
    rows: rowCount,
    landingMs: median(costs.landing),
    tablesMs: median(costs.tables),
  });
}
rmSync(folder, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify({ rounds, results })}\n`);
