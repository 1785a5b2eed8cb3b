import type { CommitEntry, LakeState } from "../commit-log.ts";

/**
 * PORT: the commit log for those who follow it entry by entry: the files that each commit added to each table, and whatever else it says.
 * Positions are the follower's. Any number of followers may read at the same time, in any process; none of them holds up a commit, and a
 * follower that fails or is slow holds up no other.
 *
 * Retention: an entry can be read until every table shows it and it is older than `tables.commitRetentionMs`, or than the longest dedupe
 * window of any topic if that is longer; seven days by default. Nothing waits for a follower: one that is further behind gets
 * FOLLOWER_TOO_FAR_BEHIND with the earliest entry that is left.
 */
export interface CommittedEntries {
  /** What all entries add up to now: the newest number, the first one that is kept, the last commit of each table. */
  state(): Promise<LakeState>;
  /**
   * The next entries after the one with this number, in order, at most some dozen; none if there are none yet. Numbers have no holes.
   * Rejects with FOLLOWER_TOO_FAR_BEHIND, with FOLLOWER_AHEAD if the log never had an entry of this number, or with the store's errors.
   */
  after(commit: number): Promise<readonly CommitEntry[]>;
  /** One entry, for a follower that goes from link to link; null = given up. Whoever goes by it must have taken the link from an entry. */
  entry(commit: number): Promise<CommitEntry | null>;
  /**
   * Resolves once there is an entry after the one with this number, or `signal` is aborted. A commit of this process, or one that it has
   * read, is told at once; those of other processes are asked for each second.
   */
  waitFor(commit: number, signal?: AbortSignal): Promise<void>;
}
