import assert from "node:assert/strict";
import { test } from "node:test";
import { checkpointPath } from "../../../../../bridge/lake/delta/delta-log.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { transactionId } from "../../../../../bridge/lake/delta/lane-transactions.ts";
import { writeCheckpoint } from "../../../../../bridge/lake/delta/table-checkpoint.ts";
import { entryActions } from "../../../../../bridge/lake/delta/table-entry.ts";
import { readShownTable } from "../../../../../bridge/lake/query/shown-table.ts";
import { baseColumns } from "../../../../../bridge/topics/table-columns.ts";
import { jsonCheckpoints } from "../../../../support/json-lake.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";

const lakeId = "lake";
const name = "telemetry";

function file(number: number) {
  const [eventDate, eventHour] = ["2026-11-22", 10];
  const path = `event_date=${eventDate}/event_hour=${eventHour}/${number}.parquet`;
  const times = { modifiedAtMs: 0, minIngestMs: 0, maxIngestMs: 0 };
  return { path, eventDate, eventHour, bytes: 1, rows: 1, ...times, stats: "{}" };
}

/** Settles a commit with one file, and writes a checkpoint. */
async function settle(store: MemoryObjectStore, commit: number): Promise<number> {
  const table = new DeltaTable(store, name, { checkpoints: jsonCheckpoints(store) });
  const transactions = [{ appId: transactionId(lakeId, "even"), upTo: commit }];
  const entry = { columns: baseColumns, transactions, files: [file(commit)], nowMs: 0 };
  await table.append(entryActions(name, await table.refresh(), entry));
  await writeCheckpoint(store, table, 0);
  return table.state.version;
}

test("files and transactions are of one version, even if the log is cleaned up while it is read", async () => {
  const shared = new MemoryObjectStore();
  const before = checkpointPath(name, await settle(shared, 1));
  let reads = 0;
  const fault = async (_operation: string, path: string) => {
    if (path !== before || ++reads < 2) return null;
    await settle(shared, 2);
    shared.objects.delete(before);
    return null;
  };
  const store = new MemoryObjectStore({ objects: shared.objects, fault });
  const { log, transactions } = await readShownTable(store, name, lakeId, jsonCheckpoints(store));
  assert.equal(reads, 2);
  assert.equal(log?.files.length, 2);
  assert.equal(transactions.even, 2);
});
