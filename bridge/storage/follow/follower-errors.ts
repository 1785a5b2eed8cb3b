import { BridgeError } from "../../errors.ts";
import type { FollowPosition } from "./follow-position.ts";

/** The entry that a follower wants is given up. `details.earliest` is where it can go on. */
export function tooFarBehind(commit: number, earliest: number): BridgeError {
  const text =
    `the follower is at commit ${commit}, and the commit log begins at ${earliest}: older entries were given up. ` +
    `Go on at commit ${earliest}, and take the rows of the commits before it from the tables, which show all of them`;
  return new BridgeError("FOLLOWER_TOO_FAR_BEHIND", text, {
    retryable: false,
    details: { commit, earliest },
  });
}

/** The follower knows commits that the log does not: one of both was restored from another copy. */
export function ahead(commit: number, newest: number): BridgeError {
  const text =
    `the follower is at commit ${commit}, and the commit log ends at ${newest}: one of them was restored from an older copy. ` +
    "Restore both from one copy, or begin again with an empty destination";
  return new BridgeError("FOLLOWER_AHEAD", text, { retryable: false, details: { commit, newest } });
}

/** Another writer has deleted files of the entry, and its table does not hold their rows either. */
export function rowsGone(
  place: FollowPosition & { readonly table: string },
  rows: { readonly committed: number; readonly found: number },
): BridgeError {
  const { commit, table } = place;
  const text =
    `commit ${commit} brought ${rows.committed} rows into table ${table}, of which ${rows.found} are left: another writer deleted files before the follower read them. ` +
    `Take what is left from the table, and go on at commit ${commit + 1}`;
  return new BridgeError("FOLLOWER_ROWS_GONE", text, {
    retryable: false,
    details: { commit, table, ...rows },
  });
}
