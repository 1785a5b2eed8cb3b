import { appendUpkeep } from "./append-upkeep.ts";
import type { CommitLog, LakeState } from "./commit-log.ts";
import { deleteInOrder } from "./delete-objects.ts";
import { COMMITS, entryPath, numberOfPath } from "./lake-format.ts";
import type { LakeSnapshots } from "./lake-snapshots.ts";
import type { ObjectStore } from "./object-store.ts";

/** Entries given up at a time, so that a list of them is bounded after a long time without. */
const givenUpMax = 1000;
/** Deleted with each commit: they go one after another, and a commit waits for it. */
const deletedAtOnce = 10;

export interface Maintenance {
  /** Every table shows every commit up to this one. */
  readonly publishedUpTo: number;
  /** Entries younger than this are kept. */
  readonly retainMs: number;
}

export interface CommitPrunerOptions {
  readonly store: ObjectStore;
  readonly log: CommitLog;
  readonly snapshots: LakeSnapshots;
  readonly entriesPerSnapshot: number;
  readonly now: () => number;
}

/**
 * Keeps the commit log short: entry that gives others up → snapshot → deletion, lowest first. What is given up is part of the log, so
 * processes agree on it whatever their clocks say. While an entry is there, so are all above it: that is how a writer finds out
 * whether the log was pruned beneath it.
 */
export class CommitPruner {
  readonly #options: CommitPrunerOptions;
  #deletable: number[] = [];

  constructor(options: CommitPrunerOptions) {
    this.#options = options;
  }

  /** To be called after publishing. Safe to race and to be killed in. */
  async run(state: LakeState, maintenance: Maintenance): Promise<{ pruned: number }> {
    const { store } = this.#options;
    if (await this.isDue(state)) await this.#sumUp(state, maintenance);
    const deleted = this.#deletable.splice(0, deletedAtOnce);
    await deleteInOrder(store, deleted.map(entryPath));
    return { pruned: deleted.length };
  }

  async isDue({ number }: LakeState): Promise<boolean> {
    const { snapshots, entriesPerSnapshot } = this.#options;
    const isFar = () => number - snapshots.newestNumber >= entriesPerSnapshot;
    if (!isFar()) return false;
    await snapshots.newest();
    return isFar();
  }

  async #sumUp(state: LakeState, maintenance: Maintenance): Promise<void> {
    const { log, snapshots, now } = this.#options;
    const old = await this.#oldEntries(state, maintenance);
    const firstKept = Math.max(0, ...old) + 1;
    if (firstKept > state.firstKept) await appendUpkeep(log, { firstKept }, now());
    const summed = await log.load();
    await snapshots.write(summed);
    this.#deletable = old.filter((number) => number < summed.firstKept);
  }

  /** Entries that no process needs, from the lowest on: published, and old by the clock that stamped them, or given up already. */
  async #oldEntries(state: LakeState, { publishedUpTo, retainMs }: Maintenance): Promise<number[]> {
    const { store, entriesPerSnapshot } = this.#options;
    const limit = Math.min(publishedUpTo + 1, state.number - entriesPerSnapshot + 1);
    const old: number[] = [];
    if (limit <= 1) return old;
    const beforeMs = (await store.now()) - retainMs;
    for await (const { path, modifiedAtMs } of store.list(`${COMMITS}/`)) {
      const number = numberOfPath(path);
      if (number === null || number >= limit || old.length >= givenUpMax) break;
      if (number >= state.firstKept && modifiedAtMs >= beforeMs) break;
      old.push(number);
    }
    return old;
  }
}
