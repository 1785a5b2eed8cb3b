import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import type { TableRows } from "../../../../../bridge/lake/landing/row-files.ts";
import { landedColumns } from "../../../../../bridge/lake/parquet/landed-rows.ts";
import { createParquetRowFiles } from "../../../../../bridge/lake/parquet/parquet-row-files.ts";
import { settleTable } from "../../../../../bridge/lake/settle/settle-table.ts";
import { vacuum } from "../../../../../bridge/lake/upkeep/vacuum.ts";
import {
  makeRow,
  makeTopic,
  openTestLake,
  silentLogger,
  type TestLake,
} from "../../../../support/test-lake.ts";

const lanes = ["even", "odd", "late"] as const;

function tidy({ store, commitLog, topics }: TestLake) {
  return vacuum({ store, commitLog, topics, logger: silentLogger });
}

/** Makes all files of the table two days old. */
function age(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const paths = names
    .filter((name) => /^event_date.*\.parquet$/.test(name))
    .map((name) => join(folder, name));
  const time = new Date(Date.now() - 2 * 86_400_000);
  for (const path of paths) utimesSync(path, time, time);
  return paths;
}

/** Settles all landed rows; `onWritten` runs between the files and the version that shows them. */
async function settle(lake: TestLake, onWritten: () => Promise<unknown> = async () => {}) {
  const { store, commitLog, topics } = lake;
  const { number } = await commitLog.load();
  const sources = [];
  for (let commit = 1; commit <= number; commit++) {
    const path = (await commitLog.entry(commit))?.landing?.file.path;
    if (path !== undefined) sources.push({ commit, path });
  }
  const round = await createParquetRowFiles({ store, now: Date.now }).open(sources);
  const table = new DeltaTable(store, "telemetry");
  const shown = (await table.refresh()).txns.get(`tidegate/${commitLog.lakeId}/even`)?.version ?? 0;
  const ranges = lanes.map((lane) => ({ lane, after: shown, upTo: number }));
  const rows: TableRows = { name: "telemetry", versions: topics.definitions(), ranges };
  const ports = { lakeId: commitLog.lakeId, now: Date.now };
  const watched = {
    write: async (of: TableRows) => {
      const files = await round.write(of);
      await onWritten();
      return files;
    },
    close: () => round.close(),
  };
  try {
    return await settleTable(ports, table, { rows, direct: null, columns: landedColumns(rows) }, watched);
  } finally {
    await round.close();
  }
}

test("files of a round that is under way are deleted only if the round can't show them any more", async () => {
  const lake = await openTestLake([makeTopic()]);
  const folder = join(lake.folder, "telemetry");
  try {
    await lake.land([{ row: makeRow(1) }]);
    assert.equal(await settle(lake), "settled");
    await lake.land([{ row: makeRow(2) }]);
    const outcome = await settle(lake, async () => {
      const written = age(folder);
      assert.equal((await tidy(lake)).orphans, 1);
      assert.equal(written.filter((path) => !existsSync(path)).length, 1);
    });
    assert.equal(outcome, "fenced");
    assert.equal(await settle(lake), "settled");
    age(folder);
    assert.equal((await tidy(lake)).orphans, 0);
  } finally {
    await lake.close();
  }
});

test("a table that does not exist yet keeps the files of its first round", async () => {
  const lake = await openTestLake([makeTopic()]);
  try {
    await lake.land([{ row: makeRow(1) }]);
    const outcome = await settle(lake, async () => {
      age(join(lake.folder, "telemetry"));
      assert.equal((await tidy(lake)).orphans, 0);
    });
    assert.equal(outcome, "settled");
  } finally {
    await lake.close();
  }
});

test("a table without landed rows gets no fence of its own", async () => {
  const lake = await openTestLake([makeTopic()]);
  try {
    await lake.commit([{ row: makeRow(1) }]);
    const orphan = `telemetry/event_date=2026-11-22/event_hour=10/${randomUUID()}.parquet`;
    await lake.store.put(orphan, Buffer.from("12345"));
    const table = new DeltaTable(lake.store, "telemetry");
    const { version } = await table.refresh();
    age(join(lake.folder, "telemetry"));
    assert.equal((await tidy(lake)).orphans, 1);
    assert.equal((await table.refresh()).version, version);
  } finally {
    await lake.close();
  }
});
