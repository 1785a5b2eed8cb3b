/**
 * A place in the committed stream: every row before it is done. The follower keeps it, in one transaction with what it made of the rows if
 * its destination has transactions; the commit log keeps none.
 */
export interface FollowPosition {
  /** Number of the entry to read next. */
  readonly commit: number;
  /** How many of that entry's rows are done, in the order in which they are handed over. */
  readonly row: number;
}

export function beginningOf(commit: number): FollowPosition {
  return { commit, row: 0 };
}
