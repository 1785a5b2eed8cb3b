import type { Logger } from "pino";
import type { TopicCatalog } from "../../topics/topic-catalog.ts";
import { appendUpkeep } from "../commit-log/append-upkeep.ts";
import { type CommitLog, type LakeState, quarantineKey } from "../commit-log/commit-log.ts";
import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import { checkFilesNamed } from "../delta/delta-schema.ts";
import { DeltaTable } from "../delta/delta-table.ts";
import { fenceId } from "../delta/lane-transactions.ts";
import { scopeOf } from "../delta/table-faults.ts";
import { deleteObjects } from "../stores/delete-objects.ts";
import type { ObjectStore, StoredObject } from "../stores/object-store.ts";
import { fenceTable, maySettleFiles } from "./fence-table.ts";
import { defaultAgeMs, unnamedAgeMs } from "./file-age.ts";
import { NameFilter } from "./name-filter.ts";
import type { VacuumMetrics } from "./vacuum-metrics.ts";

const dayMs = 86_400_000;
/** Replaced files stay for readers of older versions, and for seeding. */
const replacedAgeMs = 7 * dayMs;
/** Bound of the candidates in memory. */
const candidatesMax = 10_000;
const entriesAtOnce = 16;

export interface VacuumOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly topics: Pick<TopicCatalog, "definitions" | "longestWindowMs">;
  readonly logger: Logger;
  readonly metrics?: VacuumMetrics;
  /** Only files older than this by the store's clock are deleted. Default 24 h. */
  readonly ageMs?: number;
  /** Counts the files, but deletes nothing. */
  readonly isDryRun?: boolean;
  /** Default: Parquet files. */
  readonly checkpoints?: CheckpointFiles;
  /** This machine's clock, only recorded in the fence. */
  readonly now?: () => number;
  /** Aborts the run between two files or steps: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface VacuumReport {
  /** Data files checked. */
  readonly files: number;
  /** Files (and their bytes) that neither a commit nor a table names. Deleted, except in a dry run. */
  readonly orphans: number;
  readonly orphanBytes: number;
  /** Fences written into the commit log. Batches that were under way may have been repeated. */
  readonly fences: number;
}

/**
 * Deletes data files of batches that never committed, and files that tables replaced before any window or
 * reader may need them. Steps: list, write a fence into the commit log, read the logs again, delete. Each
 * batch either has its entry before the fence, where vacuum reads it, or cannot commit any of the listed
 * files. So safety depends on no clock and no duration. A table that settles landed rows gets a fence of its
 * own, because no commit names the files of a round.
 */
export function vacuum(options: VacuumOptions): Promise<VacuumReport> {
  return new Vacuum(options).run();
}

interface Candidate extends StoredObject {
  readonly table: string;
}

class Vacuum {
  readonly #options: VacuumOptions;
  readonly #report = { files: 0, orphans: 0, orphanBytes: 0, fences: 0 };
  readonly #candidates = new Map<string, Candidate>();
  #storeNowMs = 0;

  constructor(options: VacuumOptions) {
    this.#options = options;
  }

  async run(): Promise<VacuumReport> {
    const { store, commitLog, topics, logger, metrics, isDryRun = false } = this.#options;
    this.#storeNowMs = await store.now();
    const { tables } = await commitLog.load();
    const known = [...tables.values(), ...topics.definitions()];
    for (const table of new Set([quarantineKey, ...known.map(({ name }) => name)])) await this.#search(table);
    await this.#sweep();
    if (!isDryRun) {
      await store.removeLeftovers();
      metrics?.ran(this.#report);
    }
    logger.info({ event: "vacuum.done", isDryRun, ...this.#report }, "vacuum is done");
    return this.#report;
  }

  /**
   * Finds old data files of a table that its log does not name. Skips change data and deletion vectors of
   * other writers.
   */
  async #search(table: string): Promise<void> {
    const { store } = this.#options;
    const named = await this.#namedBy(table);
    if (named === null) return;
    for await (const object of store.list(`${table}/`)) {
      this.#options.signal?.throwIfAborted();
      if (object.path.startsWith(`${table}/_`) || !object.path.endsWith(".parquet")) continue;
      this.#report.files++;
      if (!this.#isOld(object) || named.has(object.path)) continue;
      this.#candidates.set(object.path, { ...object, table });
      if (this.#candidates.size >= candidatesMax) await this.#sweep();
    }
  }

  #isOld({ path, modifiedAtMs }: StoredObject): boolean {
    const { ageMs = defaultAgeMs } = this.#options;
    return modifiedAtMs < this.#storeNowMs - unnamedAgeMs(path, ageMs);
  }

  /** Deletes the candidates that no log names. */
  async #sweep(): Promise<void> {
    const { store, commitLog, isDryRun, now = Date.now, signal } = this.#options;
    const candidates = this.#candidates;
    signal?.throwIfAborted();
    const { number } = await commitLog.load();
    await this.#keepCommitted(0, number);
    if (candidates.size > 0 && !isDryRun) {
      const fence = await appendUpkeep(commitLog, { fence: true }, now());
      this.#report.fences++;
      // An entry that is given up meanwhile was published before; therefore check entries first, then tables.
      await this.#keepCommitted(number, fence);
      const lake = await commitLog.load();
      for (const table of new Set([...candidates.values()].map((candidate) => candidate.table)))
        await this.#keepNamed(table, lake);
      signal?.throwIfAborted();
      await deleteObjects(store, [...candidates.keys()]);
    }
    this.#report.orphans += candidates.size;
    for (const { bytes } of candidates.values()) this.#report.orphanBytes += bytes;
    candidates.clear();
  }

  /**
   * Removes from the candidates the files that entries in (after, upTo] name: they may be unpublished, or
   * needed for seeding.
   */
  async #keepCommitted(after: number, upTo: number): Promise<void> {
    const { commitLog } = this.#options;
    for (let newest = upTo; newest > after && this.#candidates.size > 0; newest -= entriesAtOnce) {
      const count = Math.min(entriesAtOnce, newest - after);
      const entries = await Promise.all(
        Array.from({ length: count }, (_, index) => commitLog.entry(newest - index)),
      );
      for (const { name, adds } of entries.flatMap((entry) => Object.values(entry?.tables ?? {})))
        for (const { path } of adds) this.#candidates.delete(`${name}/${path}`);
      if (entries.every((entry) => entry === null)) return;
    }
  }

  async #keepNamed(table: string, lake: LakeState): Promise<void> {
    const named = await this.#namedBy(table, maySettleFiles(lake, table));
    for (const [path, candidate] of this.#candidates)
      if (candidate.table === table && (named === null || named.has(path))) this.#candidates.delete(path);
  }

  /**
   * Names of the files that a table shows, or showed recently. Null if its log cannot be understood, or can't be
   * fenced; then no file of the table is deleted.
   */
  async #namedBy(name: string, isFenced = false): Promise<NameFilter | null> {
    try {
      return await (isFenced ? this.#namesAfterFence(name) : this.#understoodNames(name));
    } catch (error) {
      if (scopeOf(error, name) !== "table") throw error;
      const fields = { event: "vacuum.table.skipped", table: name, err: error };
      this.#options.logger.warn(fields, "vacuum skips this table because its log can't be understood");
      return null;
    }
  }

  async #namesAfterFence(name: string): Promise<NameFilter | null> {
    const { commitLog, now = Date.now } = this.#options;
    const { lakeId } = commitLog;
    const fence = await fenceTable(this.#open(name), { lakeId, nowMs: now() });
    if (fence === null) return null;
    // Read afresh: an entry that was created where the log had been cleaned up is no fence.
    const { txns } = await this.#open(name).refresh();
    const isThere = (txns.get(fenceId(lakeId))?.version ?? -1) >= fence;
    return isThere ? await this.#understoodNames(name) : null;
  }

  #open(name: string): DeltaTable {
    const { store, checkpoints } = this.#options;
    return new DeltaTable(store, name, checkpoints && { checkpoints });
  }

  async #understoodNames(name: string): Promise<NameFilter> {
    const { topics } = this.#options;
    const replacedSinceMs = this.#storeNowMs - Math.max(replacedAgeMs, topics.longestWindowMs()) - dayMs;
    const named = new NameFilter();
    const table = this.#open(name);
    const { protocol } = await table.refresh();
    if (protocol) checkFilesNamed(name, protocol);
    await table.eachFile((path, removedAtMs) => {
      if (removedAtMs === null || removedAtMs >= replacedSinceMs) named.add(path);
    });
    return named;
  }
}
