import assert from "node:assert/strict";
import { type AddedFile, quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import { type LandedLane, landedLanes } from "../../bridge/lake/commit-log/lane-commits.ts";
import { DeltaTable } from "../../bridge/lake/delta/delta-table.ts";
import { transactionId } from "../../bridge/lake/delta/lane-transactions.ts";
import { entryActions } from "../../bridge/lake/delta/table-entry.ts";
import type { LandedSource, TableRows } from "../../bridge/lake/landing/row-files.ts";
import { landedColumns } from "../../bridge/lake/parquet/landed-rows.ts";
import { createParquetRowFiles } from "../../bridge/lake/parquet/parquet-row-files.ts";
import type { TestLake } from "./test-lake.ts";

/**
 * Shows the landed rows of a commit in their tables, or in those named. The landing file stays.
 * @param keys Topic ids, or quarantineKey.
 */
export async function settleLanding(
  { store, commitLog, topics }: TestLake,
  commit: number,
  keys?: readonly string[],
): Promise<void> {
  const landing = (await commitLog.entry(commit))?.landing;
  if (!landing) throw new Error(`commit ${commit} has no landing file`);
  const round = await createParquetRowFiles({ store, now: Date.now }).open([
    { commit, path: landing.file.path },
  ]);
  try {
    for (const [key, { name, version }] of Object.entries(landing.tables)) {
      if (keys && !keys.includes(key)) continue;
      const versions = topics.definitions().filter((each) => each.topicId === key && each.version <= version);
      const ranges = landedLanes.map((lane) => ({ lane, after: 0, upTo: commit }));
      const rows = { name, versions: key === quarantineKey ? null : versions, ranges };
      const table = new DeltaTable(store, name);
      const actions = entryActions(name, await table.refresh(), {
        columns: landedColumns(rows),
        transactions: landedLanes.map((lane) => ({
          appId: transactionId(commitLog.lakeId, lane),
          upTo: commit,
        })),
        files: await round.write(rows),
        nowMs: Date.now(),
      });
      if ((await table.append(actions)) !== "created") throw new Error("another writer came first");
    }
  } finally {
    await round.close();
  }
}

export async function deleteLanding({ store, commitLog }: TestLake, commit: number): Promise<void> {
  await store.delete((await commitLog.entry(commit))?.landing?.file.path ?? "");
}

/** Moves the landed rows of a lane up to this commit into the table: files and one Delta entry. */
export async function settleLanded(
  { store, commitLog, topics }: Pick<TestLake, "store" | "commitLog" | "topics">,
  name: string,
  { lane, upTo }: { readonly lane: LandedLane; readonly upTo: number },
): Promise<void> {
  const table = new DeltaTable(store, name);
  const state = await table.refresh();
  const appId = transactionId(commitLog.lakeId, lane);
  const after = state.txns.get(appId)?.version ?? 0;
  const sources = [];
  for (let commit = after + 1; commit <= upTo; commit++) {
    const landing = (await commitLog.entry(commit))?.landing;
    const brought = Object.values(landing?.tables ?? {}).filter((table) => table.name === name);
    // The file of a commit without rows of the lane may be gone.
    if (landing && brought.some(({ rows }) => rows[lane])) sources.push({ commit, path: landing.file.path });
  }
  const versions =
    name === quarantineKey ? null : topics.definitions().filter((topic) => topic.name === name);
  const rows = { name, versions, ranges: [{ lane, after, upTo }] };
  const files = sources.length > 0 ? await writeFiles(store, sources, rows) : [];
  const entry = {
    columns: landedColumns(rows),
    transactions: [{ appId, upTo }],
    files,
    nowMs: Date.now(),
  };
  assert.equal(await table.append(entryActions(name, state, entry)), "created");
}

async function writeFiles(
  store: TestLake["store"],
  sources: readonly LandedSource[],
  rows: TableRows,
): Promise<readonly AddedFile[]> {
  const round = await createParquetRowFiles({ store, now: Date.now }).open(sources);
  try {
    return await round.write(rows);
  } finally {
    await round.close();
  }
}
