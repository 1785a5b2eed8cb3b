import { BridgeError } from "../../errors.ts";
import type { FollowPosition } from "./follow-position.ts";

/**
 * The log gave up the entry that a follower wants. `details.earliest` is the first entry that can be read.
 */
export function tooFarBehind(commit: number, earliest: number): BridgeError {
  const text =
    `the follower is at commit ${commit}, and the commit log begins at ${earliest}: older entries were given up. ` +
    `Go on at commit ${earliest}, and take the rows of the commits before it from the tables, which show all of them`;
  return new BridgeError("FOLLOWER_TOO_FAR_BEHIND", text, {
    retryable: false,
    details: { commit, earliest },
  });
}

/** The follower knows commits that the log does not know: one of the two was restored from an older copy. */
export function ahead(commit: number, newest: number): BridgeError {
  const text =
    `the follower is at commit ${commit}, and the commit log ends at ${newest}: one of them was restored from an older copy. ` +
    "Restore both from one copy, or begin again with an empty destination";
  return new BridgeError("FOLLOWER_AHEAD", text, { retryable: false, details: { commit, newest } });
}

/** Files of the entry were deleted, and the table does not hold their rows either. */
export function rowsGone(
  place: FollowPosition & { readonly table: string },
  rows: { readonly committed: number; readonly found: number },
): BridgeError {
  const { commit, table } = place;
  const text =
    `commit ${commit} brought ${rows.committed} rows into table ${table}, of which ${rows.found} are left: its files were deleted before the follower read them. ` +
    `Take the remaining rows from the table, and continue at commit ${commit + 1}`;
  return new BridgeError("FOLLOWER_ROWS_GONE", text, {
    retryable: false,
    details: { commit, table, ...rows },
  });
}
