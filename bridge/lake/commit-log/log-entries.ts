import { setTimeout as delay } from "node:timers/promises";
import type { ObjectStore } from "../stores/object-store.ts";
import type { CommitEntry, CommitLog, LakeState } from "./commit-log.ts";
import type { CommittedEntries } from "./committed-entries.ts";
import { ahead, tooFarBehind } from "./follower-errors.ts";
import { missingEntry } from "./lake-format.ts";
import { LakeSnapshots } from "./lake-snapshots.ts";

const defaultReadAhead = 16;
const defaultPollMs = 1000;

/** A commit log that announces new entries. */
export interface FollowedLog extends Pick<CommitLog, "load" | "reload" | "entry"> {
  /**
   * Calls the listener with the newest entry's number each time that this process learns of a new one.
   * Returns a function that ends the subscription.
   */
  onCommit(listener: (newest: number) => void): () => void;
}

/** Resolves after this time, or as soon as the signal is aborted. Never rejects. */
export type Pause = (delayMs: number, signal: AbortSignal) => Promise<void>;

export interface CommittedEntriesOptions {
  readonly store: ObjectStore;
  readonly commitLog: FollowedLog;
  /** Entries to read in parallel, because each answer over a network takes time. Default 16. */
  readonly readAhead?: number;
  /** How often the log is polled for commits of other processes. Default 1 s. */
  readonly pollMs?: number;
  readonly pause?: Pause;
}

class LogEntries implements CommittedEntries {
  readonly #log: FollowedLog;
  readonly #options: CommittedEntriesOptions;
  readonly #snapshots: LakeSnapshots;

  constructor(options: CommittedEntriesOptions) {
    this.#options = options;
    this.#log = options.commitLog;
    this.#snapshots = new LakeSnapshots(options.store);
  }

  state(): Promise<LakeState> {
    return this.#log.load();
  }

  entry(commit: number): Promise<CommitEntry | null> {
    return this.#log.entry(commit);
  }

  async after(commit: number): Promise<readonly CommitEntry[]> {
    const state = await this.#stateFrom(commit);
    const first = commit + 1;
    if (first < state.firstKept) throw tooFarBehind(first, state.firstKept);
    const { readAhead = defaultReadAhead } = this.#options;
    const count = Math.min(readAhead, state.number - commit);
    const numbers = Array.from({ length: count }, (_, index) => first + index);
    const entries = await Promise.all(numbers.map((number) => this.#log.entry(number)));
    const found = entries.filter((entry) => entry !== null);
    const isNewest = found.length === 1 && found[0]?.commitId === state.commitId;
    if (count === 0 || (count === 1 && isNewest)) return found;
    await this.#refuseGivenUp(first);
    if (found.length < count) throw missingEntry(first + entries.indexOf(null));
    return found;
  }

  async waitFor(commit: number, signal = new AbortController().signal): Promise<void> {
    const { pollMs = defaultPollMs, pause = pauseWithTimer } = this.#options;
    while (!signal.aborted) {
      const heard = new AbortController();
      const end = this.#log.onCommit((newest) => {
        if (newest > commit) heard.abort();
      });
      try {
        if ((await this.#log.load()).number > commit) return;
        await pause(pollMs, AbortSignal.any([signal, heard.signal]));
      } finally {
        end();
      }
    }
  }

  /**
   * If the follower knows more than this process, reads the log again. Rejects with FOLLOWER_AHEAD if the log
   * does not know that commit either.
   */
  async #stateFrom(commit: number): Promise<LakeState> {
    const state = await this.#log.load();
    if (commit <= state.number) return state;
    const newer = await this.#log.reload();
    if (commit > newer.number) throw ahead(commit, newer.number);
    return newer;
  }

  /**
   * If the log is pruned while an entry is read, the entry may be void: one that a writer put there after a
   * long sleep. Before the first entry is deleted, a snapshot gives it up. So an entry that no snapshot gives
   * up after the read belonged to the log.
   */
  async #refuseGivenUp(first: number): Promise<void> {
    const { firstKept = 1 } = (await this.#snapshots.newest()) ?? {};
    if (first < firstKept) throw tooFarBehind(first, firstKept);
  }
}

async function pauseWithTimer(delayMs: number, signal: AbortSignal): Promise<void> {
  await delay(delayMs, undefined, { signal }).catch(() => undefined);
}

/** Follows the commit log in a store. */
export function createCommittedEntries(options: CommittedEntriesOptions): CommittedEntries {
  return new LogEntries(options);
}
