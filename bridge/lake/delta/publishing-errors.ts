import { BridgeError } from "../../errors.ts";
import type { CommitLog } from "../commit-log/commit-log.ts";
import { logFolder } from "./delta-log.ts";

/**
 * Rejects with LAKE_DAMAGED if the table shows a commit that the log does not know: it would hide the commits
 * that get those numbers next.
 */
export async function refuseUnknownCommit(
  commitLog: Pick<CommitLog, "reload">,
  table: string,
  shown: number,
): Promise<void> {
  const { number } = await commitLog.reload();
  if (shown <= number) return;
  throw new BridgeError(
    "LAKE_DAMAGED",
    `table ${table} shows commit ${shown}, the commit log ends at ${number}: restore the whole lake from one copy`,
    { retryable: false, details: { table, shown, number } },
  );
}

/** The table's log was deleted, or replaced by an older copy. */
export function shownTooLittle(table: string, shown: number, firstKept: number): BridgeError {
  const path = logFolder(table);
  return new BridgeError(
    "LAKE_DAMAGED",
    `table ${table} shows commits up to ${shown}, but the commit log begins at ${firstKept}: the commits between are missing`,
    { retryable: false, details: { table, path } },
  );
}

export function alwaysOthers(table: string, races: number): BridgeError {
  const text = `table ${table}: ${races} entries of other writers came first`;
  return new BridgeError("STORE_UNAVAILABLE", text, { retryable: true, details: { table } });
}
