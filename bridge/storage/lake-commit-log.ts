import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { fullJitterDelayMs } from "../../devices/protocol/backoff.ts";
import { BridgeError } from "../errors.ts";
import { START_POSITION } from "../streams/stream-log.ts";
import {
  type AppendOutcome,
  type CommitEntry,
  type CommitLog,
  LAKE_FORMAT,
  type LakeState,
} from "./commit-log.ts";
import {
  COMMITS,
  encodeJson,
  entryPath,
  LAKE_PATH,
  missingEntry,
  numberOfPath,
  parseEntry,
  parseLakeFile,
  SNAPSHOTS_PREFIX,
} from "./lake-format.ts";
import { LakeSnapshots } from "./lake-snapshots.ts";
import { applyEntry, emptyLakeState, linkEntry, stateOfSnapshot } from "./lake-state.ts";
import type { ObjectStore } from "./object-store.ts";
import { moveOf } from "./past-partitions.ts";
import { CommitPruner, type Maintenance } from "./prune-commits.ts";

const defaultEntriesPerSnapshot = 100;
const startAttemptsMax = 10;
const appendAttemptsMax = 5;
const appendBackoff = { baseMs: 50, maxMs: 2000 };
const cachedEntriesMax = 128;
const defaultReadAhead = 16;
/** How often a reader that finds nothing new makes sure that it still stands at the log's end. */
const checkAfterMsMax = 3_600_000;

export interface CommitLogOptions {
  /** True: a store without a lake becomes one. False: it is LAKE_MISSING. */
  readonly create: boolean;
  /** Entries between two snapshots, 2 at least; as many are kept however old they are. Default 100. */
  readonly entriesPerSnapshot?: number;
  /** How long entries are kept, whichever process prunes them. Default 7 d. */
  readonly retentionMs?: number;
  /** Entries asked for at a time if there may be many: over a network each answer takes its time. Default 16. */
  readonly readAhead?: number;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly sleep?: (delayMs: number) => Promise<unknown>;
}

/**
 * The commit log as objects: `_commits/lake.json`, one object per entry, and now and then a snapshot of their sum.
 *
 * Entries are deleted from the lowest on. So an entry may be created where the log was pruned, by a writer that slept meanwhile; it
 * counts for nothing. Whoever creates or finds an entry therefore looks whether the one before is still there: then nothing above it was
 * deleted. No clock has a part in that.
 *
 * One object of this class has one state; calls are served one after another.
 */
export class LakeCommitLog implements CommitLog {
  readonly lakeId: string;
  readonly #store: ObjectStore;
  readonly #options: CommitLogOptions;
  readonly #now: () => number;
  readonly #snapshots: LakeSnapshots;
  readonly #pruner: CommitPruner;
  readonly #checkAfterMs: number;
  readonly #entries = new Map<number, CommitEntry>();
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
    return number < (this.#state?.firstKept ?? 1) ? null : await this.#read(number);
  }

  /** Calls the listener with the newest entry's number each time that this process gets to know one. Answers how to end that. */
  onCommit(listener: (newest: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Every `entriesPerSnapshot` entries: writes a snapshot and gives up the entries that no process needs any more. */
  async maintain(maintenance: Maintenance): Promise<{ pruned: number }> {
    return this.#pruner.run(this.#state ?? (await this.load()), maintenance);
  }

  /** Whether `maintain` would now look for entries to give up. */
  isMaintenanceDue(state: LakeState): Promise<boolean> {
    return this.#pruner.isDue(state);
  }

  async #append(entry: CommitEntry): Promise<AppendOutcome> {
    // An earlier failure may have left less than what the caller has loaded, or nothing.
    const state = this.#state && this.#state.number + 1 >= entry.number ? this.#state : await this.#load();
    if (entry.number <= state.number) return "taken";
    assert.equal(entry.number, state.number + 1, "an entry follows the state that its writer loaded");
    const isConflict = Object.entries(entry.moves).some(
      ([key, move]) => move.from !== (moveOf(state, key)?.to ?? START_POSITION),
    );
    if (isConflict) return "conflict";
    if (hasFiles(entry) && (entry.filesSince ?? 0) < state.fence) return "fenced";
    const linked = linkEntry(state, entry);
    if ((await this.#create(linked)) === "taken") return "taken";
    if (!(await this.#stands(state))) {
      this.#state = undefined;
      return "taken";
    }
    this.#remember(linked);
    this.#becomes(applyEntry(state, linked));
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

  /** From the newest snapshot on. What was pruned while it was read is found in the next one. */
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

  /** Takes over entries written since, by probing for the next ones: a listing would cost more with each entry that is kept. */
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

  /** Whether the entry that `state` ends with is still there, and so is what was appended to it. */
  async #stands({ number, commitId }: LakeState): Promise<boolean> {
    if (number === 0) return (await this.#snapshots.newest()) === undefined;
    const bytes = await this.#store.get(entryPath(number));
    if (bytes === null) return false;
    return commitId === null || parseEntry(number, bytes).commitId === commitId;
  }

  /** The number of the entry that is missing although later ones exist; null = none is. */
  async #holeAfter({ number }: LakeState): Promise<number | null> {
    for await (const object of this.#store.list(`${COMMITS}/`, { after: entryPath(number) })) {
      const found = numberOfPath(object.path);
      if (found === null || object.path.startsWith(SNAPSHOTS_PREFIX)) return null;
      // The next one may have been written between our last probe and this listing.
      return found === number + 1 ? null : number + 1;
    }
    return null;
  }

  async #create(entry: CommitEntry): Promise<"committed" | "taken"> {
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

  async #read(number: number): Promise<CommitEntry | null> {
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

  #remember(entry: CommitEntry): void {
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

function hasFiles({ tables }: CommitEntry): boolean {
  return Object.values(tables).some(({ adds }) => adds.length > 0);
}

/**
 * Opens the lake in a store. Rejects with LAKE_MISSING (and `create` false), LAKE_VERSION (written by a newer Tidegate), LAKE_DAMAGED,
 * or the store's own errors.
 */
export async function openCommitLog(store: ObjectStore, options: CommitLogOptions): Promise<LakeCommitLog> {
  const bytes = (await store.get(LAKE_PATH)) ?? (await makeLake(store, options));
  return new LakeCommitLog(store, parseLakeFile(bytes).lakeId, options);
}

/** The lake file where `openCommitLog` found none, be it another process that makes it. */
async function makeLake(store: ObjectStore, { create }: CommitLogOptions): Promise<Uint8Array> {
  for await (const object of store.list(`${COMMITS}/`)) {
    // Whoever wrote this object had the lake file by then.
    const made = await store.get(LAKE_PATH);
    if (made !== null) return made;
    throw new BridgeError(
      "LAKE_DAMAGED",
      `${LAKE_PATH} is missing in ${store.url} although ${object.path} exists. Restore it from a copy`,
      { retryable: false, details: { path: LAKE_PATH } },
    );
  }
  if (!create)
    throw new BridgeError("LAKE_MISSING", `there is no lake in ${store.url}; \`tidegate up\` makes one`, {
      retryable: false,
    });
  await store.putIfAbsent(LAKE_PATH, encodeJson({ format: LAKE_FORMAT, lakeId: randomUUID() }));
  const bytes = await store.get(LAKE_PATH);
  assert(bytes !== null, "an object that was created is there");
  return bytes;
}
