import type { Logger } from "pino";
import type { TopicCatalog } from "../consumer/topic-catalog.ts";
import { appendUpkeep } from "./append-upkeep.ts";
import { type CommitLog, QUARANTINE } from "./commit-log.ts";
import { deleteObjects } from "./delete-objects.ts";
import type { CheckpointFiles } from "./delta/checkpoint-files.ts";
import { checkFilesNamed } from "./delta/delta-schema.ts";
import { DeltaTable } from "./delta/delta-table.ts";
import { scopeOf } from "./delta/table-faults.ts";
import { NameFilter } from "./name-filter.ts";
import type { ObjectStore, StoredObject } from "./object-store.ts";
import type { VacuumMetrics } from "./vacuum-metrics.ts";

const dayMs = 86_400_000;
/** Younger files are most likely of a batch that is about to be committed: taking them would be safe, but the batch would be read again. */
const defaultAgeMs = dayMs;
/** A file that another writer has not named for so long, as Delta's own vacuum has it. */
const foreignAgeMs = 7 * dayMs;
/** What a table replaced stays for readers of older versions, and as long as seeding may want it. */
const replacedAgeMs = 7 * dayMs;
/** Unnamed files that are held in memory at a time. */
const candidatesMax = 10_000;
const entriesAtOnce = 16;
/** Files of ours; other writers' names have more than a UUID. */
const ourName = /\/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.parquet$/;

export interface VacuumOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly topics: Pick<TopicCatalog, "definitions" | "longestWindowMs">;
  readonly logger: Logger;
  readonly metrics?: VacuumMetrics;
  /** Files are deleted only if they are older than this by the store's clock. Default 24 h. */
  readonly ageMs?: number;
  /** Counts what would go, and deletes nothing. */
  readonly isDryRun?: boolean;
  /** Default: Parquet files. */
  readonly checkpoints?: CheckpointFiles;
  /** This machine's clock, for the record only. */
  readonly now?: () => number;
}

export interface VacuumReport {
  /** Data files looked at. */
  readonly files: number;
  /** Files (and their bytes) that no commit and no table names: deleted, unless it was a dry run. */
  readonly orphans: number;
  readonly orphanBytes: number;
  /** Entries of the commit log that were written for it: batches under way may have been read again. */
  readonly fences: number;
}

/**
 * Deletes data files that batches wrote and no commit took, and files that tables replaced longer ago than any window or reader looks
 * back: list, write a fence into the commit log, read the logs again, delete. Each batch either has its entry before the fence, where it
 * is read, or commits none of the files that were listed. So no clock decides what is safe, and neither does how long a step takes.
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
    for (const table of new Set([QUARANTINE, ...known.map(({ name }) => name)])) await this.#search(table);
    await this.#sweep();
    if (!isDryRun) {
      await store.removeLeftovers();
      metrics?.ran(this.#report);
    }
    logger.info({ event: "vacuum.done", isDryRun, ...this.#report }, "unreferenced files");
    return this.#report;
  }

  /** Finds old data files of a table that its log does not name. Change data and deletion vectors of other writers are none of ours. */
  async #search(table: string): Promise<void> {
    const { store } = this.#options;
    const named = await this.#namedBy(table);
    if (named === null) return;
    for await (const object of store.list(`${table}/`)) {
      if (object.path.startsWith(`${table}/_`) || !object.path.endsWith(".parquet")) continue;
      this.#report.files++;
      if (!this.#isOld(object) || named.has(object.path)) continue;
      this.#candidates.set(object.path, { ...object, table });
      if (this.#candidates.size >= candidatesMax) await this.#sweep();
    }
  }

  #isOld({ path, modifiedAtMs }: StoredObject): boolean {
    const { ageMs = defaultAgeMs } = this.#options;
    const wantedMs = ourName.test(path) ? ageMs : Math.max(ageMs, foreignAgeMs);
    return modifiedAtMs < this.#storeNowMs - wantedMs;
  }

  /** Deletes the candidates that nothing names. */
  async #sweep(): Promise<void> {
    const { store, commitLog, isDryRun, now = Date.now } = this.#options;
    const candidates = this.#candidates;
    const { number } = await commitLog.load();
    await this.#keepCommitted(0, number);
    if (candidates.size > 0 && !isDryRun) {
      const fence = await appendUpkeep(commitLog, { fence: true }, now());
      this.#report.fences++;
      // An entry that is given up meanwhile was published before: so entries first, then tables.
      await this.#keepCommitted(number, fence);
      for (const table of new Set([...candidates.values()].map((candidate) => candidate.table)))
        await this.#keepNamed(table);
      await deleteObjects(store, [...candidates.keys()]);
    }
    this.#report.orphans += candidates.size;
    for (const { bytes } of candidates.values()) this.#report.orphanBytes += bytes;
    candidates.clear();
  }

  /** Takes from the candidates what an entry in (after, upTo] names: it may be unpublished, or be needed to seed a window. */
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

  async #keepNamed(table: string): Promise<void> {
    const named = await this.#namedBy(table);
    for (const [path, candidate] of this.#candidates)
      if (candidate.table === table && (named === null || named.has(path))) this.#candidates.delete(path);
  }

  /** Names of the files that a table shows, or did not long ago. null = its log can't be understood: then nothing of it is deleted. */
  async #namedBy(name: string): Promise<NameFilter | null> {
    try {
      return await this.#understoodNames(name);
    } catch (error) {
      if (scopeOf(error, name) !== "table") throw error;
      const fields = { event: "vacuum.table.skipped", table: name, err: error };
      this.#options.logger.warn(fields, "unreferenced files of this table stay: its log can't be understood");
      return null;
    }
  }

  async #understoodNames(name: string): Promise<NameFilter> {
    const { store, topics, checkpoints } = this.#options;
    const replacedSinceMs = this.#storeNowMs - Math.max(replacedAgeMs, topics.longestWindowMs()) - dayMs;
    const named = new NameFilter();
    const table = new DeltaTable(store, name, checkpoints && { checkpoints });
    const { protocol } = await table.refresh();
    if (protocol) checkFilesNamed(name, protocol);
    await table.eachFile((path, removedAtMs) => {
      if (removedAtMs === null || removedAtMs >= replacedSinceMs) named.add(path);
    });
    return named;
  }
}
