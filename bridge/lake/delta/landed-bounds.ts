import type { LakeState } from "../commit-log/commit-log.ts";
import { highestOf, type LaneCommits, landedLanes, noCommits } from "../commit-log/lane-commits.ts";
import type { DeltaTable } from "./delta-table.ts";
import { settledLanes } from "./lane-transactions.ts";
import { scopeOf } from "./table-faults.ts";

/**
 * By table name: what tables show of each lane. Reads the tables that lack landed rows as far as the log
 * knows; for the others, the bounds of the log are enough. Leaves out a table whose log is unreadable.
 * Rejects with the store's errors.
 */
export async function readShownLanes(
  { tables }: Pick<LakeState, "tables">,
  named: (name: string) => DeltaTable,
  lakeId: string,
): Promise<ReadonlyMap<string, LaneCommits>> {
  const shown = new Map<string, LaneCommits>();
  for (const { name, last, settled } of tables.values()) {
    const mayLack = landedLanes.some((lane) => last[lane] > settled[lane]);
    if (!mayLack || shown.has(name)) continue;
    const lanes = await readLanes(named(name), lakeId);
    if (lanes) shown.set(name, lanes);
  }
  return shown;
}

async function readLanes(table: DeltaTable, lakeId: string): Promise<LaneCommits | null> {
  try {
    await table.refresh();
    // An entry below a newer checkpoint shows nothing, even if it was created after the log was cleaned up.
    if (await table.isLeftBehind()) table.startOver();
    return settledLanes((await table.refresh()).txns, lakeId);
  } catch (error) {
    if (scopeOf(error, table.name) !== "table") throw error;
    return null;
  }
}

/**
 * The last commit such that tables show the landed rows of every commit up to it. Entries below the first
 * kept one have no rows that a table lacks.
 *
 * @param shown By table name, what the table was read to show; a table that is absent shows the bounds.
 */
export function landedRowsShownUpTo(
  { number, firstKept, tables }: Pick<LakeState, "number" | "firstKept" | "tables">,
  shown: ReadonlyMap<string, LaneCommits>,
): number {
  let upTo = number;
  for (const { name, last, settled } of tables.values()) {
    const known = highestOf(settled, shown.get(name) ?? noCommits);
    for (const lane of landedLanes)
      if (last[lane] > known[lane]) upTo = Math.min(upTo, Math.max(known[lane], firstKept - 1));
  }
  return upTo;
}
