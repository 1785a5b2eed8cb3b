import { BridgeError } from "../../errors.ts";
import type { CommitEntry } from "../commit-log/commit-log.ts";
import type { CommittedEntries } from "../commit-log/committed-entries.ts";
import { missingEntry } from "../commit-log/lake-format.ts";
import { LakeSnapshots } from "../commit-log/lake-snapshots.ts";
import { emptyLakeState, stateOfSnapshot } from "../commit-log/lake-state.ts";
import type { ObjectStore } from "../stores/object-store.ts";

/** How often the reading begins again if the log is pruned meanwhile. */
const attemptsMax = 5;
/** Fewer entries than the log keeps in memory. */
const knownMax = 64;

/**
 * Which commits brought files to which table, from reading the commit log once and in order. So the publisher
 * does not read the log again for each table. Keeps 8 bytes for each table of a commit, until the table shows the commit.
 */
export class UnsettledCommits {
  readonly #log: Pick<CommittedEntries, "after" | "entry">;
  readonly #snapshots: LakeSnapshots;
  /** By table name: numbers of commits, ascending. */
  readonly #numbers = new Map<string, number[]>();
  /** By table name: the newest commit that is not in `#numbers`. */
  readonly #passed = new Map<string, number>();
  /** Commits up to this one were given up unread, so this process does not know which tables they touched; 0 = none. */
  #unread = 0;
  /** The last commit that was read; null = none was. */
  #newest: number | null = null;

  constructor(store: ObjectStore, log: Pick<CommittedEntries, "after" | "entry">) {
    this.#log = log;
    this.#snapshots = new LakeSnapshots(store);
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
   * Commits after `shown` that brought files to the table, ascending. Null if others, which are not known
   * any more, may be among them.
   */
  after(table: string, shown: number): readonly number[] | null {
    if (shown < this.passed(table) || shown < this.#unread) return null;
    return this.#numbers.get(table)?.filter((number) => number > shown) ?? [];
  }

  /** The newest commit that brought files to the table and is not kept here; 0 = none. */
  passed(table: string): number {
    return this.#passed.get(table) ?? 0;
  }

  /** Forgets commits that the table shows. */
  shown(table: string, upTo: number): void {
    const numbers = this.#numbers.get(table);
    const passed = numbers?.findLast((number) => number <= upTo);
    if (!numbers || passed === undefined) return;
    this.#passed.set(table, Math.max(passed, this.passed(table)));
    this.#numbers.set(
      table,
      numbers.filter((number) => number > upTo),
    );
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
    this.#numbers.clear();
    for (const { name, last } of tables.values())
      this.#passed.set(name, Math.max(last.direct, this.passed(name)));
    this.#unread = earliest - 1 > number ? earliest - 1 : 0;
    return Math.max(number, earliest - 1);
  }

  #note({ number, tables }: CommitEntry): void {
    this.#newest = number;
    for (const name of new Set(Object.values(tables).map((table) => table.name))) {
      const numbers = this.#numbers.get(name) ?? [];
      numbers.push(number);
      this.#numbers.set(name, numbers);
    }
  }
}
