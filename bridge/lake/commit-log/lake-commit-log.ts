import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { fullJitterDelayMs } from "../../../devices/protocol/backoff.ts";
import { BridgeError } from "../../errors.ts";
import { startPosition } from "../../streams/stream-log.ts";
import { commitsFolder } from "../stores/lake-folders.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import type { AppendOutcome, CommitEntry, CommitLog, LakeState } from "./commit-log.ts";
import { readOrCreateLakeFile } from "./lake-file.ts";
import {
  encodeJson,
  entryPath,
  missingEntry,
  numberOfPath,
  parseEntry,
  parseLakeFile,
  snapshotsPrefix,
} from "./lake-format.ts";
import type { StoredEntry } from "./lake-schemas.ts";
import { LakeSnapshots } from "./lake-snapshots.ts";
import { applyEntry, emptyLakeState, stateOfSnapshot } from "./lake-state.ts";
import { moveOf } from "./past-partitions.ts";
import { CommitPruner, type Maintenance } from "./prune-commits.ts";
import { entryOf, storedEntry } from "./stored-entry.ts";

const defaultEntriesPerSnapshot = 100;
const startAttemptsMax = 10;
const appendAttemptsMax = 5;
const appendBackoff = { baseMs: 50, maxMs: 2000 };
const cachedEntriesMax = 128;
const defaultReadAhead = 16;
/** How often a reader that finds no new entry verifies that its last entry still exists. */
const checkAfterMsMax = 3_600_000;

export interface CommitLogOptions {
  /** True: creates a lake in a store without one. False: rejects with LAKE_MISSING instead. */
  readonly create: boolean;
  /** Entries between two snapshots, at least 2. As many entries are kept, however old. Default 100. */
  readonly entriesPerSnapshot?: number;
  /**
   * How long processes keep entries, ms: a quarter of it bounds the time between two checks that the log's
   * end still exists. Unset: one hour bounds that time.
   */
  readonly retentionMs?: number;
  /**
   * Entries to read in parallel if many are expected, because each answer over a network takes time. Default
   * 16.
   */
  readonly readAhead?: number;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly sleep?: (delayMs: number) => Promise<unknown>;
}

/**
 * The commit log as objects: `_commits/lake.json`, one object per entry, and a snapshot of their sum every
 * `entriesPerSnapshot` entries.
 *
 * Entries are deleted from the lowest number up. So a writer that slept can create an entry with a number
 * that was pruned meanwhile; that entry is void. Therefore each reader and writer of an entry checks that the
 * entry before it still exists. If so, no entry above it was deleted. The check needs no clock.
 *
 * An instance has one state and serves its calls one after another.
 */
export class LakeCommitLog implements CommitLog {
  readonly lakeId: string;
  readonly #store: ObjectStore;
  readonly #options: CommitLogOptions;
  readonly #now: () => number;
  readonly #snapshots: LakeSnapshots;
  readonly #pruner: CommitPruner;
  readonly #checkAfterMs: number;
  readonly #entries = new Map<number, StoredEntry>();
  #state: LakeState | undefined;
  #checkedAtMs = 0;
  #newest = 0;
  readonly #listeners = new Set<(newest: number) => void>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: ObjectStore, lakeId: string, options: CommitLogOptions) {
    this.lakeId = lakeId;
    this.#store = store;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const { entriesPerSnapshot = defaultEntriesPerSnapshot, retentionMs = Number.POSITIVE_INFINITY } =
      options;
    assert(entriesPerSnapshot >= 2, "the newest entry and the one before are kept");
    this.#checkAfterMs = Math.min(checkAfterMsMax, retentionMs / 4);
    const snapshots = new LakeSnapshots(store);
    this.#snapshots = snapshots;
    this.#pruner = new CommitPruner({ store, log: this, snapshots, entriesPerSnapshot, now: this.#now });
  }

  load(): Promise<LakeState> {
    return this.#inTurn(() => this.#load());
  }

  reload(): Promise<LakeState> {
    return this.#inTurn(() => this.#start());
  }

  append(entry: CommitEntry): Promise<{ outcome: AppendOutcome }> {
    return this.#inTurn(async () => ({ outcome: await this.#append(entry) }));
  }

  async entry(number: number): Promise<CommitEntry | null> {
    if (number < (this.#state?.firstKept ?? 1)) return null;
    const stored = await this.#read(number);
    if (stored === null) return null;
    // Ordinals are explained by the entries up to this one.
    const state = this.#state && this.#state.number >= number ? this.#state : await this.load();
    return number < state.firstKept || number > state.number ? null : entryOf(stored, state);
  }

  /**
   * Calls the listener with the newest entry's number each time that this process learns of a new one.
   * Returns a function that ends the subscription.
   */
  onCommit(listener: (newest: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Every `entriesPerSnapshot` entries, writes a snapshot and gives up the entries that no process needs any
   * more.
   */
  async maintain(maintenance: Maintenance): Promise<{ pruned: number }> {
    return this.#pruner.run(this.#state ?? (await this.load()), maintenance);
  }

  /** Whether `maintain` would look for entries to give up. */
  isMaintenanceDue(state: LakeState): Promise<boolean> {
    return this.#pruner.isDue(state);
  }

  async #append(entry: CommitEntry): Promise<AppendOutcome> {
    // After a failed start, `#state` may be undefined or older than the state that the caller loaded.
    const state = this.#state && this.#state.number + 1 >= entry.number ? this.#state : await this.#load();
    if (entry.number <= state.number) return "taken";
    assert.equal(entry.number, state.number + 1, "an entry follows the state that its writer loaded");
    const isConflict = Object.entries(entry.moves).some(
      ([key, move]) => move.from !== (moveOf(state, key)?.to ?? startPosition),
    );
    if (isConflict) return "conflict";
    if (hasFiles(entry) && (entry.filesSince ?? 0) < state.fence) return "fenced";
    const stored = storedEntry(state, entry);
    if ((await this.#create(stored)) === "taken") return "taken";
    if (!(await this.#stands(state))) {
      this.#state = undefined;
      return "taken";
    }
    this.#remember(stored);
    this.#becomes(applyEntry(state, stored));
    return "committed";
  }

  async #load(): Promise<LakeState> {
    const state = this.#state;
    if (!state) return this.#start();
    const now = this.#now();
    const isCheckDue = Math.abs(now - this.#checkedAtMs) > this.#checkAfterMs;
    if (isCheckDue && !(await this.#stands(state))) return this.#start();
    if (isCheckDue) this.#checkedAtMs = now;
    const next = await this.#advance(state);
    if (next === state) return state;
    if (!(await this.#stands(state))) return this.#start();
    this.#becomes(next);
    return next;
  }

  /** Reads from the newest snapshot on. If entries are pruned meanwhile, a newer snapshot sums them up. */
  async #start(): Promise<LakeState> {
    this.#state = undefined;
    this.#entries.clear();
    for (let attempt = 1; attempt <= startAttemptsMax; attempt++) {
      const snapshot = await this.#snapshots.newest();
      const base = snapshot ? stateOfSnapshot(snapshot) : emptyLakeState;
      const state = await this.#advance(base, this.#options.readAhead ?? defaultReadAhead);
      const missing = (await this.#holeAfter(state)) ?? ((await this.#stands(base)) ? null : base.number);
      if (missing === null) {
        this.#checkedAtMs = this.#now();
        this.#becomes(state);
        return state;
      }
      const isPruned = (await this.#snapshots.newest())?.number !== snapshot?.number;
      if (!isPruned && (await this.#read(missing)) === null) throw missingEntry(missing);
    }
    const text = "the commit log was pruned faster than it could be read";
    throw new BridgeError("STORE_UNAVAILABLE", text, { retryable: true });
  }

  /**
   * Reads the entries written since, by asking for the next numbers: the cost of a listing grows with the
   * entries kept.
   */
  async #advance(from: LakeState, atOnce = 1): Promise<LakeState> {
    let state = from;
    for (;;) {
      const next = state.number + 1;
      const entries = await Promise.all(
        Array.from({ length: atOnce }, (_, index) => this.#read(next + index)),
      );
      for (const entry of entries) {
        if (entry === null) return state;
        state = applyEntry(state, entry);
      }
    }
  }

  /** Whether the last entry of `state` still exists; if so, all later entries exist, too. */
  async #stands({ number, commitId }: LakeState): Promise<boolean> {
    if (number === 0) return (await this.#snapshots.newest()) === undefined;
    const bytes = await this.#store.get(entryPath(number));
    if (bytes === null) return false;
    return commitId === null || parseEntry(number, bytes).commitId === commitId;
  }

  /** The number of an entry that is missing although later ones exist; null if there is none. */
  async #holeAfter({ number }: LakeState): Promise<number | null> {
    for await (const object of this.#store.list(`${commitsFolder}/`, { after: entryPath(number) })) {
      const found = numberOfPath(object.path);
      if (found === null || object.path.startsWith(snapshotsPrefix)) return null;
      // The next entry may have been written between the last read and this listing.
      return found === number + 1 ? null : number + 1;
    }
    return null;
  }

  async #create(entry: StoredEntry): Promise<"committed" | "taken"> {
    const { random = Math.random, sleep = delay } = this.#options;
    const bytes = encodeJson(entry);
    for (let attempt = 0; ; attempt++) {
      try {
        if ((await this.#store.putIfAbsent(entryPath(entry.number), bytes)) === "created") return "committed";
        const found = await this.#store.get(entryPath(entry.number));
        const isOurs = found !== null && parseEntry(entry.number, found).commitId === entry.commitId;
        return isOurs ? "committed" : "taken";
      } catch (error) {
        const mayHelp = error instanceof BridgeError && error.retryable && error.code === "STORE_UNAVAILABLE";
        if (!mayHelp || attempt + 1 === appendAttemptsMax) throw error;
        await sleep(fullJitterDelayMs(attempt, appendBackoff, random));
      }
    }
  }

  async #read(number: number): Promise<StoredEntry | null> {
    const cached = this.#entries.get(number);
    if (cached) return cached;
    const bytes = await this.#store.get(entryPath(number));
    if (bytes === null) return null;
    const entry = parseEntry(number, bytes);
    this.#remember(entry);
    return entry;
  }

  #becomes(state: LakeState): void {
    this.#state = state;
    if (state.number <= this.#newest) return;
    this.#newest = state.number;
    for (const listener of this.#listeners) listener(state.number);
  }

  #remember(entry: StoredEntry): void {
    this.#entries.set(entry.number, entry);
    const oldest = this.#entries.keys().next().value;
    if (this.#entries.size > cachedEntriesMax && oldest !== undefined) this.#entries.delete(oldest);
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function hasFiles({ tables, landing }: CommitEntry): boolean {
  return landing !== undefined || Object.values(tables).some(({ adds }) => adds.length > 0);
}

/**
 * Opens the lake in a store. Rejects with LAKE_MISSING (if `create` is false), LAKE_VERSION (a newer Tidegate
 * wrote it), LAKE_DAMAGED, or the store's errors.
 */
export async function openCommitLog(store: ObjectStore, options: CommitLogOptions): Promise<LakeCommitLog> {
  const bytes = await readOrCreateLakeFile(store, options);
  return new LakeCommitLog(store, parseLakeFile(bytes).lakeId, options);
}
