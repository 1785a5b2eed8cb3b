/**
 * A place in the committed stream: the follower has processed every row before it. The follower keeps it, if
 * possible in the transaction that stores what it made of the rows. The commit log keeps no positions.
 */
export interface FollowPosition {
  /** Number of the entry to read next. */
  readonly commit: number;
  /** How many of that entry's rows are processed, in the order of delivery. */
  readonly row: number;
}

export function beginningOf(commit: number): FollowPosition {
  return { commit, row: 0 };
}
