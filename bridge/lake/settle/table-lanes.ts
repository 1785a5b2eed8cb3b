import { BridgeError } from "../../errors.ts";
import type { LakeState } from "../commit-log/commit-log.ts";
import { highestOf, type LaneCommits, lanes, noCommits } from "../commit-log/lane-commits.ts";
import { logFolder } from "../delta/delta-log.ts";
import type { FiledTopic } from "../delta/table-entry.ts";

/** What the commit log says of a table. A name that was created again has two topics, and one table. */
export interface CommittedLanes {
  readonly name: string;
  readonly topics: readonly FiledTopic[];
  /** By lane: the last commit that brought rows, and the bound up to which the table showed them. */
  readonly last: LaneCommits;
  readonly bound: LaneCommits;
}

/** By table name. */
export function committedLanes({ tables }: Pick<LakeState, "tables">): Map<string, CommittedLanes> {
  const byName = new Map<string, CommittedLanes>();
  for (const [key, { name, version, last, settled }] of tables) {
    const before = byName.get(name);
    byName.set(name, {
      name,
      topics: [...(before?.topics ?? []), { key, version }],
      last: highestOf(before?.last ?? noCommits, last),
      bound: highestOf(before?.bound ?? noCommits, settled),
    });
  }
  return byName;
}

/** What the log of a table says. */
export interface TableTransactions {
  /** -1 if there is no log. */
  readonly version: number;
  /** By lane: the table shows the rows of every commit up to this one; 0 = no transaction. */
  readonly transactions: LaneCommits;
}

/**
 * By lane: the table shows the rows of every commit up to this one. The commit log must have been read before
 * the table. Throws TABLE_CONFLICT if the table shows less of a lane than it did, and rows of the lane wait, or
 * of any lane if the table's log is gone: the table may or may not still have the rows between.
 */
export function shownLanes(
  { name, last, bound }: CommittedLanes,
  { version, transactions }: TableTransactions,
  { firstKept }: Pick<LakeState, "firstKept">,
): LaneCommits {
  const waiting = lanes.filter((lane) => last[lane] > bound[lane]);
  for (const lane of lanes) {
    // Logs that were pruned before format 5 have no bounds: they gave up only what the table showed.
    const givenUp = last[lane] < firstKept ? last[lane] : 0;
    const floor = Math.max(bound[lane], givenUp);
    const isNeeded = version < 0 ? waiting.length > 0 : waiting.includes(lane);
    if (transactions[lane] >= floor || !isNeeded) continue;
    const path = logFolder(name);
    throw new BridgeError(
      "TABLE_CONFLICT",
      `table ${name} shows the ${lane} rows of commits up to ${transactions[lane]}, but it showed those up to ${floor} before: another writer dropped Tidegate's transactions from its log, or the log was deleted or replaced by an older copy`,
      { retryable: false, details: { table: name, path, lane, shown: transactions[lane], floor } },
    );
  }
  return highestOf(transactions, bound);
}
