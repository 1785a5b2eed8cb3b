import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { fullJitterDelayMs } from "../../devices/protocol/backoff.ts";
import { BridgeError } from "../errors.ts";
import { START_POSITION } from "../streams/stream-log.ts";
import { type CommitEntry, type CommitLog, LAKE_FORMAT, type LakeState } from "./commit-log.ts";
import { deleteObjects } from "./delete-objects.ts";
import {
  applyEntry,
  COMMITS,
  emptyLakeState,
  encodeJson,
  entryPath,
  LAKE_PATH,
  type LakeSnapshot,
  linkEntry,
  missingEntry,
  numberOfPath,
  parseEntry,
  parseLakeFile,
  parseSnapshot,
  SNAPSHOTS_PREFIX,
  snapshotOfState,
  snapshotPath,
  stateOfSnapshot,
} from "./lake-format.ts";
import type { ObjectStore } from "./object-store.ts";

const defaultEntriesPerSnapshot = 100;
const snapshotsKept = 2;
const snapshotAttemptsMax = 10;
const appendAttemptsMax = 5;
const appendBackoff = { baseMs: 50, maxMs: 2000 };
const cachedEntriesMax = 128;
const defaultReadAhead = 16;
/** After a pause this long the loaded state may end below entries that were pruned since. */
const startOverAfterMsMax = 3_600_000;

export interface CommitLogOptions {
  /** True: a store without a lake becomes one. False: it is LAKE_MISSING. */
  readonly create: boolean;
  /** Entries between two snapshots. Default 100. */
  readonly entriesPerSnapshot?: number;
  /** How long entries are kept at least, whichever process prunes them. Default 7 d. */
  readonly retentionMs?: number;
  /** Entries asked for at a time if there may be many: over a network each answer takes its time. Default 16. */
  readonly readAhead?: number;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly sleep?: (delayMs: number) => Promise<unknown>;
}

export interface Maintenance {
  /** Every table shows every commit up to this one. */
  readonly publishedUpTo: number;
  /** Entries younger than this are kept. */
  readonly retainMs: number;
}

/**
 * The commit log as objects: `_commits/lake.json`, one object per entry, and a snapshot of their sum every 100 entries (`entriesPerSnapshot`).
 * One object of this class has one state; calls are served one after another.
 */
export class LakeCommitLog implements CommitLog {
  readonly lakeId: string;
  readonly #store: ObjectStore;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #sleep: (delayMs: number) => Promise<unknown>;
  readonly #entriesPerSnapshot: number;
  readonly #startOverAfterMs: number;
  readonly #readAhead: number;
  readonly #entries = new Map<number, CommitEntry>();
  #state: LakeState | undefined;
  #snapshot: LakeSnapshot | undefined;
  #loadedAtMs = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: ObjectStore, lakeId: string, options: CommitLogOptions) {
    this.lakeId = lakeId;
    this.#store = store;
    this.#entriesPerSnapshot = options.entriesPerSnapshot ?? defaultEntriesPerSnapshot;
    this.#startOverAfterMs = Math.min(
      startOverAfterMsMax,
      (options.retentionMs ?? Number.POSITIVE_INFINITY) / 4,
    );
    this.#readAhead = options.readAhead ?? defaultReadAhead;
    this.#now = options.now ?? Date.now;
    this.#random = options.random ?? Math.random;
    this.#sleep = options.sleep ?? ((delayMs) => delay(delayMs));
  }

  load(): Promise<LakeState> {
    return this.#inTurn(() => this.#load());
  }

  append(entry: CommitEntry): ReturnType<CommitLog["append"]> {
    return this.#inTurn(async () => {
      const state = this.#state ?? (await this.#load());
      if (entry.number <= state.number) return { outcome: "taken" };
      assert.equal(entry.number, state.number + 1, "an entry follows the state that its writer loaded");
      const isConflict = Object.entries(entry.moves).some(
        ([key, move]) => move.from !== (state.moves.get(key)?.to ?? START_POSITION),
      );
      if (isConflict) return { outcome: "conflict" };
      const linked = linkEntry(state, entry);
      if ((await this.#create(linked)) === "taken") return { outcome: "taken" };
      if (await this.#wasPruned(entry.number)) {
        this.#state = undefined;
        return { outcome: "taken" };
      }
      this.#state = applyEntry(state, linked);
      this.#remember(linked);
      return { outcome: "committed" };
    });
  }

  async entry(number: number): Promise<CommitEntry | null> {
    const cached = this.#entries.get(number);
    if (cached) return cached;
    const bytes = await this.#store.get(entryPath(number));
    if (bytes === null) return null;
    const entry = parseEntry(number, bytes);
    this.#remember(entry);
    return entry;
  }

  /**
   * Every `entriesPerSnapshot` entries: writes a snapshot and deletes the entries that no process needs any more. To be called after publishing.
   * Safe to race and to be killed in.
   */
  maintain(maintenance: Maintenance): Promise<{ pruned: number }> {
    return this.#inTurn(async () => {
      const state = this.#state ?? (await this.#load());
      if (state.number - (this.#snapshot?.number ?? 0) < this.#entriesPerSnapshot) return { pruned: 0 };
      const last = this.#snapshot ?? (await this.#newestSnapshot());
      this.#snapshot = last;
      if (state.number - (last?.number ?? 0) < this.#entriesPerSnapshot) return { pruned: 0 };
      const firstKept = await this.#firstKept(last?.firstKept ?? 1, state.number, maintenance);
      const snapshot = snapshotOfState(state, firstKept);
      await this.#store.putIfAbsent(snapshotPath(state.number), encodeJson(snapshot));
      this.#snapshot = snapshot;
      await this.#dropOldSnapshots();
      const start = last?.firstKept ?? 1;
      const pruned = Array.from({ length: firstKept - start }, (_, index) => start + index);
      for (const number of pruned) this.#entries.delete(number);
      await deleteObjects(this.#store, pruned.map(entryPath));
      return { pruned: pruned.length };
    });
  }

  /**
   * A writer that slept for longer than entries are kept may have created one where the log had been pruned. Only after a long sleep is
   * it worth a listing, which would cost every commit as much as the commit itself.
   */
  async #wasPruned(number: number): Promise<boolean> {
    if (Math.abs(this.#now() - this.#loadedAtMs) <= this.#startOverAfterMs) return false;
    return number < ((await this.#newestSnapshot())?.firstKept ?? 1);
  }

  async #load(): Promise<LakeState> {
    const now = this.#now();
    if (!this.#state || Math.abs(now - this.#loadedAtMs) > this.#startOverAfterMs) await this.#start();
    else await this.#advance();
    this.#loadedAtMs = now;
    return this.#state ?? emptyLakeState;
  }

  async #start(): Promise<void> {
    this.#snapshot = await this.#newestSnapshot();
    this.#state = this.#snapshot ? stateOfSnapshot(this.#snapshot) : emptyLakeState;
    this.#entries.clear();
    await this.#advance(this.#readAhead);
    await this.#refuseHole();
  }

  /** Takes over entries written since, by probing for the next ones: a listing would cost more with each entry that is kept. */
  async #advance(atOnce = 1): Promise<void> {
    let state = this.#state ?? emptyLakeState;
    for (;;) {
      const next = state.number + 1;
      const entries = await Promise.all(
        Array.from({ length: atOnce }, (_, index) => this.entry(next + index)),
      );
      for (const entry of entries) {
        if (entry === null) return;
        state = applyEntry(state, entry);
        this.#state = state;
      }
    }
  }

  async #refuseHole(): Promise<void> {
    const next = (this.#state?.number ?? 0) + 1;
    for await (const object of this.#store.list(`${COMMITS}/`, { after: entryPath(next - 1) })) {
      const number = numberOfPath(object.path);
      if (number === null || object.path.startsWith(SNAPSHOTS_PREFIX)) return;
      // Written between our last probe and this listing, or really behind a hole.
      await this.#advance();
      if ((this.#state?.number ?? 0) >= next) return;
      this.#state = undefined;
      throw missingEntry(next);
    }
  }

  async #newestSnapshot(attempt = 1): Promise<LakeSnapshot | undefined> {
    let newest = this.#snapshot?.number ?? 0;
    const after = newest === 0 ? {} : { after: snapshotPath(newest) };
    for await (const object of this.#store.list(SNAPSHOTS_PREFIX, after))
      newest = Math.max(newest, numberOfPath(object.path) ?? 0);
    if (newest === (this.#snapshot?.number ?? 0)) return this.#snapshot;
    const bytes = await this.#store.get(snapshotPath(newest));
    if (bytes !== null) return parseSnapshot(newest, bytes);
    // Dropped since it was listed: then a newer one exists.
    assert(attempt < snapshotAttemptsMax, "a listed snapshot is there, or a newer one");
    return this.#newestSnapshot(attempt + 1);
  }

  async #create(entry: CommitEntry): Promise<"committed" | "taken"> {
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
        await this.#sleep(fullJitterDelayMs(attempt, appendBackoff, this.#random));
      }
    }
  }

  /** The first entry that is young, unpublished or near the end. */
  async #firstKept(from: number, newest: number, { publishedUpTo, retainMs }: Maintenance): Promise<number> {
    const limit = Math.min(publishedUpTo + 1, newest - this.#entriesPerSnapshot + 1);
    const oldestMs = this.#now() - retainMs;
    let firstKept = from;
    while (firstKept < limit) {
      const entry = await this.entry(firstKept);
      if (entry !== null && entry.committedAtMs >= oldestMs) break;
      firstKept++;
    }
    return firstKept;
  }

  async #dropOldSnapshots(): Promise<void> {
    const paths: string[] = [];
    for await (const object of this.#store.list(SNAPSHOTS_PREFIX)) paths.push(object.path);
    await deleteObjects(this.#store, paths.slice(0, -snapshotsKept));
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
