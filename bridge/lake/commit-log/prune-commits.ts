import { deleteInOrder } from "../stores/delete-objects.ts";
import { commitsFolder } from "../stores/lake-folders.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { appendUpkeep } from "./append-upkeep.ts";
import type { CommitLog, LakeState } from "./commit-log.ts";
import { entryPath, numberOfPath } from "./lake-format.ts";
import type { LakeSnapshots } from "./lake-snapshots.ts";
import type { LaneCommits } from "./lane-commits.ts";

/** Bounds the list of entries to give up after a long time without pruning. */
const givenUpMax = 1000;
/** Entries to delete with each commit: they are deleted one after another, and the commit waits. */
const deletedAtOnce = 10;

export interface Maintenance {
  /** By topic id, or quarantineKey: the transactions of the table, as this process read them. */
  readonly settled: ReadonlyMap<string, LaneCommits>;
  /** Every table shows every row of every commit up to this one. */
  readonly publishedUpTo: number;
  /** Younger entries are kept. */
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
 * Keeps the commit log short: an entry gives others up, then a snapshot sums them up, then they are deleted
 * from the lowest up. The log itself says what is given up, so processes agree whatever their clocks say.
 * While an entry exists, all above it exist, too. By that, a writer detects that the log was pruned below its
 * own entry.
 */
export class CommitPruner {
  readonly #options: CommitPrunerOptions;
  #deletable: number[] = [];

  constructor(options: CommitPrunerOptions) {
    this.#options = options;
  }

  /** Call it after publishing. Concurrent calls and a kill at any point are safe. */
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
    const settled = Object.fromEntries(maintenance.settled);
    // In one entry: a reader of a bound knows that the table lacks nothing below the first entry.
    if (firstKept > state.firstKept) await appendUpkeep(log, { firstKept, settled }, now());
    const summed = await log.load();
    await snapshots.write(summed);
    this.#deletable = old.filter((number) => number < summed.firstKept);
  }

  /**
   * Entries that no process needs, from the lowest up: given up already, or published and old by the store's
   * clock.
   */
  async #oldEntries(state: LakeState, { publishedUpTo, retainMs }: Maintenance): Promise<number[]> {
    const { store, entriesPerSnapshot } = this.#options;
    const limit = Math.min(publishedUpTo + 1, state.number - entriesPerSnapshot + 1);
    const old: number[] = [];
    if (limit <= 1) return old;
    const beforeMs = (await store.now()) - retainMs;
    for await (const { path, modifiedAtMs } of store.list(`${commitsFolder}/`)) {
      const number = numberOfPath(path);
      if (number === null || number >= limit || old.length >= givenUpMax) break;
      if (number >= state.firstKept && modifiedAtMs >= beforeMs) break;
      old.push(number);
    }
    return old;
  }
}
