import { appendUpkeep } from "../commit-log/append-upkeep.ts";
import type { CommitLog, LakeState } from "../commit-log/commit-log.ts";
import { landingFolder } from "../commit-log/landed-file.ts";
import { deleteObjects } from "../stores/delete-objects.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { type ClockPair, hasPassed, notAfter } from "./clock-pair.ts";
import { unnamedAgeMs } from "./file-age.ts";
import { NameFilter } from "./name-filter.ts";

/** Bound of the suspects in memory; others are searched once these are swept. */
const suspectsMax = 10_000;
const entriesAtOnce = 16;

export interface LandingOrphansOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  /** Younger files stay, by the store's clock. */
  readonly ageMs: number;
  /** From the search to the fence. */
  readonly readersMs: number;
  /** This machine's clock, only recorded in the fence. */
  readonly now: () => number;
}

export interface SweptOrphans {
  readonly files: number;
  readonly bytes: number;
  readonly fences: number;
}

interface Suspects {
  /** By path, in bytes. */
  readonly files: Map<string, number>;
  /** No entry up to this one names them. */
  readonly unnamedUpTo: number;
  readonly foundAt: ClockPair;
}

const nothing: SweptOrphans = { files: 0, bytes: 0, fences: 0 };

/**
 * Landing files that no entry names: a batch ended before its commit, or the entry was given up. The second
 * kind may just have been settled, so a reader of an older version of a table may still need it. Therefore
 * files are searched first, and swept an hour later: write a fence into the commit log, read what was
 * committed since the search, delete.
 */
export class LandingOrphans {
  readonly #options: LandingOrphansOptions;
  #suspects: Suspects | null = null;

  constructor(options: LandingOrphansOptions) {
    this.#options = options;
  }

  /** Whether found files wait for `sweep`. */
  get isWaiting(): boolean {
    return this.#suspects !== null;
  }

  /**
   * Looks for old files that no entry names. Resolves with false if there may be more than it can hold.
   * @param lake Its entries are read once the listing has found an old file; later ones by `sweep`.
   */
  async search(lake: LakeState, now: ClockPair, signal: AbortSignal): Promise<boolean> {
    const { store, ageMs } = this.#options;
    const files = new Map<string, number>();
    let named: NameFilter | null = null;
    for await (const { path, bytes, modifiedAtMs } of store.list(`${landingFolder}/`)) {
      signal.throwIfAborted();
      if (!path.endsWith(".parquet") || modifiedAtMs >= now.storeMs - unnamedAgeMs(path, ageMs)) continue;
      named ??= await this.#namedIn(lake, signal);
      if (!named.has(path)) files.set(path, bytes);
      if (files.size >= suspectsMax) break;
    }
    this.#suspects = files.size > 0 ? { files, unnamedUpTo: lake.number, foundAt: now } : null;
    return files.size < suspectsMax;
  }

  /** The file was deleted for another reason. */
  forget(path: string): void {
    this.#suspects?.files.delete(path);
  }

  /** Deletes the files that were found an hour ago and that no entry names. */
  async sweep(now: ClockPair, signal: AbortSignal): Promise<SweptOrphans> {
    const { store, commitLog, readersMs } = this.#options;
    if (!this.#suspects) return nothing;
    const suspects = { ...this.#suspects, foundAt: notAfter(this.#suspects.foundAt, now) };
    this.#suspects = suspects;
    if (!hasPassed(readersMs, suspects.foundAt, now)) return nothing;
    this.#suspects = null;
    const { files, unnamedUpTo } = suspects;
    if (files.size === 0) return nothing;
    const fence = await appendUpkeep(commitLog, { fence: true }, this.#options.now());
    // The log is an older copy.
    if (fence <= unnamedUpTo) return { ...nothing, fences: 1 };
    // A file of an entry that is given up meanwhile was needed a moment ago.
    if (!(await this.#keepCommitted(files, unnamedUpTo + 1, fence))) return { ...nothing, fences: 1 };
    signal.throwIfAborted();
    await deleteObjects(store, [...files.keys()]);
    const bytes = [...files.values()].reduce((sum, each) => sum + each, 0);
    return { files: files.size, bytes, fences: 1 };
  }

  async #namedIn({ firstKept, number }: LakeState, signal: AbortSignal): Promise<NameFilter> {
    const named = new NameFilter();
    await this.#eachEntry(firstKept, number, (path) => named.add(path), signal);
    return named;
  }

  /** Resolves with false if the log gave up one of the entries. */
  #keepCommitted(files: Map<string, number>, first: number, last: number): Promise<boolean> {
    return this.#eachEntry(first, last, (path) => files.delete(path));
  }

  async #eachEntry(
    first: number,
    last: number,
    visit: (path: string) => void,
    signal?: AbortSignal,
  ): Promise<boolean> {
    let isWhole = true;
    for (let number = first; number <= last; number += entriesAtOnce) {
      signal?.throwIfAborted();
      const count = Math.min(entriesAtOnce, last - number + 1);
      const numbers = Array.from({ length: count }, (_, index) => number + index);
      for (const entry of await Promise.all(numbers.map((each) => this.#options.commitLog.entry(each)))) {
        if (!entry) isWhole = false;
        else if (entry.landing) visit(entry.landing.file.path);
      }
    }
    return isWhole;
  }
}
