import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openDuckdb, quoteText } from "../../../../../bridge/lake/parquet/duckdb.ts";
import { createSeedSource } from "../../../../../bridge/lake/seeding/lake-seed-source.ts";
import { makeRow, makeTopic, openTestLake, type TestLake } from "../../../../support/test-lake.ts";

/** As version 0.1.0 wrote a topic with a property of that name, before every table had the column. */
async function giveOwnStreamTime(lake: TestLake, commit: number, value: string): Promise<void> {
  const [path = assert.fail()] = await lake.filesOf(commit, "topic-1");
  const changed = join(lake.folder, `${randomUUID()}.parquet`);
  const spillFolder = join(lake.folder, `spill-${randomUUID()}`);
  const duckdb = await openDuckdb({ memoryLimitBytes: 2 ** 28, threads: 1, spillFolder });
  const select = `SELECT * REPLACE (${value} AS _stream_time) FROM read_parquet(${quoteText(path)}, hive_partitioning = false)`;
  await duckdb.connection.run(`COPY (${select}) TO ${quoteText(changed)} (FORMAT parquet)`);
  await duckdb.close();
  cpSync(changed, path);
}

for (const value of ["7::BIGINT", "'noon'", "1.5::DOUBLE", "true", "TIMESTAMPTZ '2040-01-01'"])
  test(`a column of a topic in the place of _stream_time (${value}) keeps no other topic from being seeded`, async () => {
    const other = makeTopic({ topicId: "topic-2", name: "other" });
    const lake = await openTestLake([makeTopic(), other]);
    try {
      await lake.commit([{ row: makeRow(1) }, { topic: other, row: makeRow(2) }]);
      await giveOwnStreamTime(lake, 1, value);
      const seeds = createSeedSource(lake);
      const seeded = async () => {
        const topics: string[] = [];
        const query = { parts: [{ streamId: "stream-1", partition: 0, sinceMs: 0 }], upToCommit: 1 };
        for await (const rows of seeds.rows(query)) topics.push(rows.topicId);
        return topics;
      };
      // What can't be read is left out at the third try.
      const tries = [await seeded().catch(() => []), await seeded().catch(() => []), await seeded()];
      assert(tries[2]?.includes("topic-2"), String(tries));
    } finally {
      await lake.close();
    }
  });
