import type { CommitEntry, LakeState } from "./commit-log.ts";

/**
 * PORT: the commit log for followers, which read it entry by entry. An entry tells which files a commit added
 * to which table. Followers keep their own positions. Any number of followers may read at the same time, in
 * any process. A follower that fails or is slow holds up neither commits nor other followers.
 *
 * Retention: an entry is readable until every table shows it and the retention time has passed. That time is
 * `tables.commitRetentionMs` (seven days by default), or the longest dedupe window of any topic if that is
 * longer. The log waits for no follower. A follower that is further behind gets FOLLOWER_TOO_FAR_BEHIND with
 * the earliest entry left.
 */
export interface CommittedEntries {
  /** The newest number, the first kept number, and the last commit of each table. */
  state(): Promise<LakeState>;
  /**
   * Up to 16 entries that follow the entry with this number, in order and without holes; none if there are
   * none yet. Rejects with FOLLOWER_TOO_FAR_BEHIND, with FOLLOWER_AHEAD if the log never had this number, or
   * with the store's errors.
   */
  after(commit: number): Promise<readonly CommitEntry[]>;
  /**
   * One entry that the caller knows of, from `after` or from a link in an entry; null if the entry is given
   * up.
   */
  entry(commit: number): Promise<CommitEntry | null>;
  /**
   * Resolves once an entry after the one with this number exists, or `signal` is aborted. Commits that this
   * process wrote or read resolve it at once; the log is polled each second for those of other processes.
   */
  waitFor(commit: number, signal?: AbortSignal): Promise<void>;
}
