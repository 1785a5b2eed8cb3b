import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { TopicCatalog } from "../../consumer/topic-catalog.ts";
import { BridgeError } from "../../errors.ts";
import { BoundedWork } from "../bounded-work.ts";
import { type AddedFile, type CommitEntry, type LakeState, QUARANTINE } from "../commit-log.ts";
import type { LakeCommitLog } from "../lake-commit-log.ts";
import { missingEntry } from "../lake-format.ts";
import type { ObjectStore } from "../object-store.ts";
import type { TablePublisher } from "../seed-source.ts";
import { StorageMetrics } from "../storage-metrics.ts";
import { baseColumns, mergeColumns, quarantineColumns, type TableColumn } from "../table-columns.ts";
import { plainColumns, withAbsentColumns } from "./absent-columns.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";
import type { DeltaAction } from "./delta-actions.ts";
import {
  checkProtocol,
  extendMetaData,
  newMetaData,
  READER_VERSION,
  WRITER_VERSION,
} from "./delta-schema.ts";
import { type DeltaState, DeltaTable } from "./delta-table.ts";
import { cleanLog, writeCheckpoint } from "./table-checkpoint.ts";

/** Lost races on one table before its publishing is given up for now. */
const racesMax = 50;
/** Tables written at a time: over a network each entry waits for two answers. */
const tablesAtOnce = 4;
const dayMs = 86_400_000;
const defaultCommitRetentionMs = 7 * dayMs;
const defaultLogRetentionMs = 30 * dayMs;

export interface TablePublisherOptions {
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly topics: TopicCatalog;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly now?: () => number;
  /** How long entries of a table's log are kept after a checkpoint has replaced them, for time travel. Default 30 d. */
  readonly logRetentionMs?: number;
  /** Entries of a table's log between two checkpoints. Default 100. */
  readonly checkpointEntries?: number;
  /** How long entries of the commit log are kept, if no topic's window is longer. Default 7 d. */
  readonly commitRetentionMs?: number;
  readonly checkpoints?: CheckpointFiles;
  readonly readAhead?: number;
}

/** What a topic id (or QUARANTINE) still has to show in the table of its name. */
interface Pending {
  readonly key: string;
  readonly version: number;
  readonly lastCommit: number;
}

interface NamedAdds {
  readonly number: number;
  readonly adds: readonly AddedFile[];
}

class DeltaTablePublisher implements TablePublisher {
  readonly #options: TablePublisherOptions;
  readonly #metrics: StorageMetrics;
  readonly #now: () => number;
  readonly #appId: string;
  readonly #tables = new Map<string, DeltaTable>();
  /** By table name: the commit up to which it is known to show everything. */
  readonly #published = new Map<string, number>();
  readonly #cleanedAtMs = new Map<string, number>();

  constructor(options: TablePublisherOptions) {
    this.#options = options;
    this.#metrics = new StorageMetrics(options.registry);
    this.#now = options.now ?? Date.now;
    this.#appId = `tidegate/${options.commitLog.lakeId}`;
  }

  async publishPending(): Promise<{ published: number }> {
    const { commitLog, topics } = this.#options;
    const state = await commitLog.load();
    let published = await this.#publishAll(state);
    if (await commitLog.isMaintenanceDue(state)) {
      await this.#lookAgain();
      published += await this.#publishAll(state);
    }
    const { commitRetentionMs = defaultCommitRetentionMs } = this.#options;
    const retainMs = Math.max(commitRetentionMs, topics.longestWindowMs());
    await commitLog.maintain({ publishedUpTo: state.number, retainMs });
    return { published };
  }

  async #publishAll(state: LakeState): Promise<number> {
    const faults: BridgeError[] = [];
    const tables = new BoundedWork<0 | 1>(tablesAtOnce);
    for (const [name, pending] of this.#pendingByName(state))
      await tables.add(() =>
        this.#publish(name, pending).catch((error: unknown) => {
          // One table's fault must not keep the others from showing what is committed.
          if (!isOfOneTable(error)) throw error;
          faults.push(error);
          return 0;
        }),
      );
    const published = (await tables.results()).reduce<number>((sum, written) => sum + written, 0);
    if (faults[0]) throw faults[0];
    return published;
  }

  /**
   * Before entries of the commit log are given up for what was published: an entry that this process put where a table's log had been
   * cleaned up meanwhile shows nothing.
   */
  async #lookAgain(): Promise<void> {
    for (const table of this.#tables.values()) if (await table.isLeftBehind()) this.#startOver(table);
  }

  #startOver(table: DeltaTable): void {
    table.startOver();
    this.#published.delete(table.name);
  }

  /** A name that was created again continues its table under another topic id: such ids are published together, in commit order. */
  #pendingByName(state: LakeState): Map<string, Pending[]> {
    const byName = new Map<string, Pending[]>();
    for (const [key, { name, version, lastCommit }] of state.tables) {
      if ((this.#published.get(name) ?? 0) >= lastCommit) continue;
      byName.set(name, [...(byName.get(name) ?? []), { key, version, lastCommit }]);
    }
    return byName;
  }

  /** Resolves with 1 where it wrote an entry, 0 where the table had it already. */
  async #publish(name: string, pending: readonly Pending[]): Promise<0 | 1> {
    const table = this.#tableNamed(name);
    const target = Math.max(...pending.map(({ lastCommit }) => lastCommit));
    let written: 0 | 1 = 0;
    for (let races = 0; written === 0; races++) {
      const state = await table.refresh();
      const shown = state.txns.get(this.#appId)?.version ?? 0;
      if (shown > target) await this.#refuseUnknownCommit(name, shown);
      if (shown >= target) break;
      const adds = await this.#addsAfter(shown, pending);
      const actions = await this.#entryActions(state, { name, pending, target, adds });
      if ((await table.append(actions)) === "created") written = 1;
      else this.#lostRace(name, races);
    }
    this.#published.set(name, target);
    if (written) this.#metrics.published();
    await this.#maintain(table);
    return written;
  }

  #tableNamed(name: string): DeltaTable {
    let table = this.#tables.get(name);
    if (!table) {
      const { store, checkpointEntries, logRetentionMs, checkpoints, readAhead } = this.#options;
      table = new DeltaTable(store, name, {
        now: this.#now,
        ...(checkpointEntries !== undefined && { entriesPerCheckpoint: checkpointEntries }),
        ...(logRetentionMs !== undefined && { logRetentionMs }),
        ...(checkpoints && { checkpoints }),
        ...(readAhead !== undefined && { readAhead }),
      });
      this.#tables.set(name, table);
    }
    return table;
  }

  #lostRace(table: string, races: number): void {
    this.#metrics.lostRace();
    if (races < racesMax) return;
    throw new BridgeError(
      "STORE_UNAVAILABLE",
      `table ${table}: ${races} other entries came first, one after another`,
      {
        retryable: true,
        details: { table },
      },
    );
  }

  /** A table ahead of the commit log would hide the commits that get those numbers next. */
  async #refuseUnknownCommit(name: string, shown: number): Promise<void> {
    const { number } = await this.#options.commitLog.reload();
    if (shown <= number) return;
    throw new BridgeError(
      "LAKE_DAMAGED",
      `table ${name} shows commit ${shown}, the commit log ends at ${number}: restore the whole lake from one copy`,
      { retryable: false, details: { table: name, shown, number } },
    );
  }

  /** What commits after `shown` added, in order. Each entry names the one before it that touched the same topic's table. */
  async #addsAfter(shown: number, pending: readonly Pending[]): Promise<AddedFile[]> {
    const found: NamedAdds[] = [];
    for (const { key, lastCommit } of pending)
      for (let number = lastCommit; number > shown; ) {
        const entry: CommitEntry | null = await this.#options.commitLog.entry(number);
        const table = entry?.tables[key];
        if (!table) throw missingEntry(number);
        found.push({ number, adds: table.adds });
        number = table.previousCommit ?? 0;
      }
    found.sort((left, right) => left.number - right.number);
    return found.flatMap(({ adds }) => adds);
  }

  async #entryActions(
    state: Readonly<DeltaState>,
    entry: { name: string; pending: readonly Pending[]; target: number; adds: readonly AddedFile[] },
  ): Promise<DeltaAction[]> {
    const nowMs = this.#now();
    const { name, target } = entry;
    const actions: DeltaAction[] = [{ commitInfo: commitInfo(nowMs) }];
    const columns = await this.#columnsOf(entry.pending);
    let { metaData } = state;
    if (state.protocol && metaData) {
      checkProtocol(name, state.protocol, "write");
      const extended = extendMetaData(name, metaData, columns);
      if (extended) actions.push({ metaData: extended });
      metaData = extended ?? metaData;
    } else {
      actions.push({ protocol: { minReaderVersion: READER_VERSION, minWriterVersion: WRITER_VERSION } });
      metaData = newMetaData(name, columns, nowMs);
      actions.push({ metaData });
    }
    actions.push({ txn: { appId: this.#appId, version: target, lastUpdated: nowMs } });
    const tableColumns = plainColumns(name, metaData);
    for (const add of entry.adds) actions.push({ add: addAction(add, tableColumns) });
    return actions;
  }

  /** Columns of the topics' versions up to those that were filed. */
  async #columnsOf(pending: readonly Pending[]): Promise<TableColumn[]> {
    if (pending.some(({ key }) => key === QUARANTINE)) return [...baseColumns, ...quarantineColumns];
    const typed = [];
    for (const { key, version } of pending)
      for (let each = 1; each <= version; each++) {
        const columns = await this.#typedColumns(key, each, version);
        if (columns) typed.push(columns);
      }
    return [...baseColumns, ...mergeColumns(typed)];
  }

  async #typedColumns(topicId: string, version: number, filed: number) {
    const { topics } = this.#options;
    if (!topics.version(topicId, version)) await topics.refresh();
    const topic = topics.version(topicId, version);
    if (!topic && version === filed)
      throw new BridgeError(
        "LAKE_DAMAGED",
        `_topics/${topicId}/${version}.json is missing in the lake although its rows are filed. Restore this file from a copy`,
        { retryable: true, details: { topicId, version } },
      );
    return topic?.columns;
  }

  /** Rewriting the log's past can wait: a failure that may pass is told and tried again at the next entry. */
  async #maintain(table: DeltaTable): Promise<void> {
    const { store, logger, logRetentionMs = defaultLogRetentionMs } = this.#options;
    if (!table.isCheckpointDue()) return;
    try {
      if (await table.isLeftBehind()) return this.#startOver(table);
      const nowMs = await store.now();
      await writeCheckpoint(store, table, nowMs);
      this.#metrics.checkpointed();
      // How often it lists is this process's own business; ages are counted by the store's clock.
      const cleanedMs = this.#cleanedAtMs.get(table.name) ?? Number.NEGATIVE_INFINITY;
      if (Math.abs(this.#now() - cleanedMs) < Math.min(dayMs, logRetentionMs)) return;
      this.#cleanedAtMs.set(table.name, this.#now());
      const deleted = await cleanLog(store, table.name, { nowMs, retainMs: logRetentionMs });
      this.#metrics.deletedLogFiles(deleted);
    } catch (error) {
      if (!(error instanceof BridgeError) || !error.retryable) throw error;
      this.#metrics.checkpointFailed();
      const fields = { event: "table.checkpoint.failed", table: table.name, code: error.code, err: error };
      logger.warn(fields, "no checkpoint was written; readers read more entries until the next try");
    }
  }
}

function isOfOneTable(error: unknown): error is BridgeError {
  return error instanceof BridgeError && (error.code === "TABLE_CONFLICT" || error.code === "LAKE_DAMAGED");
}

function commitInfo(nowMs: number): Readonly<Record<string, unknown>> {
  return {
    timestamp: nowMs,
    operation: "WRITE",
    operationParameters: { mode: "Append", partitionBy: '["event_date","event_hour"]' },
    isBlindAppend: true,
    engineInfo: "tidegate",
    txnId: randomUUID(),
  };
}

function addAction(file: AddedFile, columns: readonly { name: string }[]) {
  return {
    path: file.path,
    partitionValues: { event_date: file.eventDate, event_hour: String(file.eventHour) },
    size: file.bytes,
    modificationTime: file.modifiedAtMs,
    dataChange: true,
    stats: withAbsentColumns(file.stats, file.rows, columns),
  };
}

/** Shows committed files in their Delta tables, and keeps the tables' logs and the commit log short. */
export function createTablePublisher(options: TablePublisherOptions): TablePublisher {
  return new DeltaTablePublisher(options);
}
