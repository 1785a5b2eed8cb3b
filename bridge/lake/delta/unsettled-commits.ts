import { BridgeError } from "../../errors.ts";
import type { CommitEntry } from "../commit-log/commit-log.ts";
import type { CommittedEntries } from "../commit-log/committed-entries.ts";
import { missingEntry } from "../commit-log/lake-format.ts";
import { LakeSnapshots } from "../commit-log/lake-snapshots.ts";
import { emptyLakeState, stateOfSnapshot } from "../commit-log/lake-state.ts";
import type { CommittedLanding } from "../commit-log/landed-file.ts";
import {
  highestOf,
  type Lane,
  type LaneCommits,
  landedLanes,
  noCommits,
} from "../commit-log/lane-commits.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { type BroughtRows, CommitRuns, type SummedRows } from "./commit-runs.ts";

/** How often the reading begins again if the log is pruned meanwhile. */
const attemptsMax = 5;
/** Fewer entries than the log keeps in memory. */
const knownMax = 64;

/** The rows of one lane that a table does not show. */
export interface WaitingRows extends Omit<SummedRows, "firstMs"> {
  /** When the oldest of their commits was made; null if this process has not read that commit. */
  readonly firstMs: number | null;
  /** Entries of the log from that commit on. */
  readonly entries: number;
}

/**
 * Which commits brought rows to which lane of which table, from reading the commit log once and in order. So
 * nobody reads the log again for each table. Memory is bounded for each lane, however long a table does not
 * show its commits; a table that shows everything costs nothing but its last numbers.
 */
export class UnsettledCommits {
  readonly #log: Pick<CommittedEntries, "after" | "entry">;
  readonly #snapshots: LakeSnapshots;
  /** By table name. */
  readonly #commits = new Map<string, Map<Lane, CommitRuns>>();
  /** By table name: the newest commits that are not in `#commits`. */
  readonly #passed = new Map<string, LaneCommits>();
  /** Commits up to this one were given up unread, so this process does not know which tables they touched; 0 = none. */
  #unread = 0;
  /** The last commit that was read; null = none was. */
  #newest: number | null = null;

  constructor(store: ObjectStore, log: Pick<CommittedEntries, "after" | "entry">) {
    this.#log = log;
    this.#snapshots = new LakeSnapshots(store);
  }

  /** The last commit that was read; 0 = none. */
  get newest(): number {
    return this.#newest ?? 0;
  }

  /**
   * Reads the log up to this commit, from the newest snapshot on. If the log was pruned above the last commit
   * that was read, begins again. One caller at a time.
   */
  async readTo(commit: number): Promise<void> {
    for (let attempt = 1, earliest = 1; ; attempt++) {
      try {
        await this.#read(commit, earliest);
        return;
      } catch (error) {
        const isPruned = error instanceof BridgeError && error.code === "FOLLOWER_TOO_FAR_BEHIND";
        if (!isPruned || attempt === attemptsMax) throw error;
        earliest = Number(error.details["earliest"]);
        this.#newest = null;
      }
    }
  }

  /**
   * Commits after `shown` that brought rows to the lane of the table, ascending; commits without such rows
   * may be between them. Null if others, which are not known any more, may be among them.
   */
  after(table: string, lane: Lane, shown: number): Iterable<number> | null {
    if (shown < this.passed(table, lane) || shown < this.#unread) return null;
    return this.#commits.get(table)?.get(lane)?.after(shown) ?? [];
  }

  /**
   * As `after`, if the log gave up only entries whose rows the table shows: then those that are not known are
   * all entries up to the last one that brought rows before this process began to read.
   */
  *candidates(table: string, lane: Lane, shown: number): Generator<number> {
    const passed = this.passed(table, lane);
    for (let commit = shown + 1; commit <= passed; commit++) yield commit;
    yield* this.#commits.get(table)?.get(lane)?.after(Math.max(shown, passed)) ?? [];
  }

  /** The sum of `candidates`; null if there are none. */
  waiting(table: string, lane: Lane, shown: number): WaitingRows | null {
    const passed = this.passed(table, lane);
    const known = this.#commits.get(table)?.get(lane)?.sumAfter(Math.max(shown, passed)) ?? null;
    const isUnknown = shown < passed;
    if (!isUnknown && !known) return null;
    const { rows, size, landingBytes } = known ?? { rows: 0, size: 0, landingBytes: 0 };
    const first = isUnknown ? shown + 1 : (known?.first ?? 0);
    const firstMs = isUnknown ? null : (known?.firstMs ?? null);
    return { first, firstMs, rows, size, landingBytes, entries: this.newest - first + 1 };
  }

  /** The newest commit that brought rows to the lane and is not kept here; 0 = none. */
  passed(table: string, lane: Lane): number {
    return this.#passed.get(table)?.[lane] ?? 0;
  }

  /** Forgets commits that the table shows. */
  shown(table: string, lane: Lane, upTo: number): void {
    const lanes = this.#commits.get(table);
    const runs = lanes?.get(lane);
    const newest = runs?.dropTo(upTo) ?? 0;
    if (newest > 0) this.#pass(table, { ...noCommits, [lane]: newest });
    if (runs?.isEmpty) lanes?.delete(lane);
    if (lanes?.size === 0) this.#commits.delete(table);
  }

  async #read(commit: number, earliest: number): Promise<void> {
    this.#newest ??= await this.#begin(earliest);
    while (this.#newest < commit) {
      const entries: readonly CommitEntry[] =
        (await this.#known(this.#newest, commit)) ?? (await this.#log.after(this.#newest));
      if (entries.length === 0) throw missingEntry(this.#newest + 1);
      for (const entry of entries) this.#note(entry);
    }
  }

  /** Entries that this process has read a moment ago to know the log's end. Null if there may be others. */
  async #known(after: number, upTo: number): Promise<CommitEntry[] | null> {
    if (upTo - after > knownMax) return null;
    const numbers = Array.from({ length: upTo - after }, (_, index) => after + 1 + index);
    const entries = await Promise.all(numbers.map((number) => this.#log.entry(number)));
    const known = entries.filter((entry) => entry !== null);
    return known.length === entries.length ? known : null;
  }

  /** @param earliest The first entry of the log, if it is known. It is given up before a snapshot says so. */
  async #begin(earliest: number): Promise<number> {
    const snapshot = await this.#snapshots.newest();
    const { number, tables } = snapshot ? stateOfSnapshot(snapshot) : emptyLakeState;
    this.#commits.clear();
    for (const { name, last } of tables.values()) this.#pass(name, last);
    this.#unread = earliest - 1 > number ? earliest - 1 : 0;
    return Math.max(number, earliest - 1);
  }

  #pass(table: string, commits: LaneCommits): void {
    this.#passed.set(table, highestOf(this.#passed.get(table) ?? noCommits, commits));
  }

  #note(entry: CommitEntry): void {
    this.#newest = entry.number;
    for (const [name, lanes] of broughtBy(entry))
      for (const [lane, rows] of lanes) this.#runsOf(name, lane).add(entry.number, rows);
  }

  #runsOf(table: string, lane: Lane): CommitRuns {
    const lanes = this.#commits.get(table) ?? new Map<Lane, CommitRuns>();
    const runs = lanes.get(lane) ?? new CommitRuns();
    this.#commits.set(table, lanes.set(lane, runs));
    return runs;
  }
}

type Brought = Map<string, Map<Lane, BroughtRows>>;

/** By table name and lane. Topics of the same name, one created after the other, share a table. */
function broughtBy({ committedAtMs, tables, landing }: CommitEntry): Brought {
  const brought: Brought = new Map();
  const add = (name: string, lane: Lane, rows: number, size: number) => {
    const lanes = brought.get(name) ?? new Map<Lane, BroughtRows>();
    const before = lanes.get(lane) ?? { rows: 0, size: 0 };
    const landingBytes = lane === "direct" ? 0 : (landing?.file.bytes ?? 0);
    const sum = { rows: before.rows + rows, size: before.size + size };
    brought.set(name, lanes.set(lane, { committedAtMs, landingBytes, ...sum }));
  };
  for (const { name, adds } of Object.values(tables)) {
    add(name, "direct", 0, 0);
    for (const { rows, bytes } of adds) add(name, "direct", rows, bytes);
  }
  if (!landing) return brought;
  const sizeOfRow = landing.file.size / rowsOf(landing);
  for (const { name, rows } of Object.values(landing.tables))
    for (const lane of landedLanes)
      if (rows[lane] !== undefined) add(name, lane, rows[lane], rows[lane] * sizeOfRow);
  return brought;
}

function rowsOf({ tables }: CommittedLanding): number {
  let sum = 0;
  for (const { rows } of Object.values(tables)) for (const lane of landedLanes) sum += rows[lane] ?? 0;
  return sum;
}
