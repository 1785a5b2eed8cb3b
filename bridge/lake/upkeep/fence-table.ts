import type { LakeState } from "../commit-log/commit-log.ts";
import { landedLanes } from "../commit-log/lane-commits.ts";
import { checkFilesNamed } from "../delta/delta-schema.ts";
import type { DeltaTable } from "../delta/delta-table.ts";
import { fenceId } from "../delta/lane-transactions.ts";
import { createVersion } from "../delta/table-transaction.ts";

/**
 * Whether another process may be about to show a file that it wrote before this state was loaded: a round
 * that settles landed rows writes files which no commit names.
 */
export function maySettleFiles({ tables }: Pick<LakeState, "tables">, name: string): boolean {
  return [...tables.values()].some(
    (table) => table.name === name && landedLanes.some((lane) => table.last[lane] > 0),
  );
}

/**
 * Creates a version that is a fence: after it, files that were written for an earlier version are never shown.
 * Resolves with its number, or with null if the table does not exist. Rejects as `createVersion`, and with
 * TABLE_CONFLICT if we may not write into the table's log.
 */
export async function fenceTable(
  table: DeltaTable,
  { lakeId, nowMs }: { readonly lakeId: string; readonly nowMs: number },
): Promise<number | null> {
  let fence = -1;
  const outcome = await createVersion<"absent">(table, ({ version, protocol }) => {
    if (version < 0) return "absent";
    if (protocol) checkFilesNamed(table.name, protocol);
    fence = version + 1;
    const commitInfo = { timestamp: nowMs, operation: "VACUUM START", engineInfo: "tidegate" };
    return [{ commitInfo }, { txn: { appId: fenceId(lakeId), version: fence, lastUpdated: nowMs } }];
  });
  return outcome === "created" ? fence : null;
}
