import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { TopicCatalog } from "../../topics/topic-catalog.ts";
import type { CommitLog, LakeState } from "../commit-log/commit-log.ts";
import type { CommittedEntries } from "../commit-log/committed-entries.ts";
import { type LaneCommits, lanes } from "../commit-log/lane-commits.ts";
import { createCommittedEntries, type FollowedLog } from "../commit-log/log-entries.ts";
import type { DeltaTable } from "../delta/delta-table.ts";
import { DeltaTables, type DeltaTablesOptions } from "../delta/delta-tables.ts";
import { fittingVersion } from "../delta/fitting-version.ts";
import { settledLanes } from "../delta/lane-transactions.ts";
import { ParkedTables } from "../delta/parked-tables.ts";
import { refuseUnknownCommit } from "../delta/publishing-errors.ts";
import { StorageMetrics } from "../delta/storage-metrics.ts";
import { columnsOf } from "../delta/table-entry.ts";
import { scopeOf, TableFaults } from "../delta/table-faults.ts";
import { TableUpkeep } from "../delta/table-upkeep.ts";
import { UnsettledCommits } from "../delta/unsettled-commits.ts";
import { wayOutOf } from "../delta/way-out.ts";
import type { RowFiles } from "../landing/row-files.ts";
import { type CommittedLanes, shownLanes } from "./table-lanes.ts";
import type { SettledTable } from "./table-outcome.ts";

/** So many tables fail, and none succeeds between, only if the store or this process is the cause. */
const failingMax = 3;
const defaultLogRetentionMs = 30 * 86_400_000;

export interface SettleTablesOptions extends DeltaTablesOptions {
  readonly commitLog: FollowedLog & Pick<CommitLog, "lakeId">;
  readonly topics: TopicCatalog;
  readonly rowFiles: RowFiles;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly now: () => number;
  /** Monotonic, ms. */
  readonly elapsedMs: () => number;
  /** Called for each table that a round took up. */
  readonly onResult?: (table: string, result: SettledTable) => void;
}

export interface ReadLanes {
  /** By lane: the table shows the rows of every commit up to this one. */
  readonly shown: LaneCommits;
  /** What its log says. Lower than `shown` if it lost a transaction, and lacks no rows all the same. */
  readonly transactions: LaneCommits;
}

/** The tables of a lake, as a process that settles them knows them. */
export class SettleTables {
  readonly options: SettleTablesOptions;
  readonly entries: CommittedEntries;
  readonly unsettled: UnsettledCommits;
  readonly parked: ParkedTables;
  readonly metrics: StorageMetrics;
  readonly #upkeep: TableUpkeep;
  readonly #tables: DeltaTables;
  readonly #faults = new TableFaults();
  /** By table name: what the table showed when this process read it last. */
  readonly #shown = new Map<string, LaneCommits>();
  /** Tables that failed since one succeeded. */
  readonly #failing = new Set<string>();

  constructor(options: SettleTablesOptions) {
    const { store, commitLog, registry, logger, now, elapsedMs, readAhead } = options;
    const { logRetentionMs = defaultLogRetentionMs } = options;
    this.options = options;
    this.entries = createCommittedEntries({
      store,
      commitLog,
      ...(readAhead !== undefined && { readAhead }),
    });
    this.unsettled = new UnsettledCommits(store, this.entries);
    this.metrics = new StorageMetrics(registry);
    const common = { logger, metrics: this.metrics, now, elapsedMs };
    this.parked = new ParkedTables(common);
    this.#upkeep = new TableUpkeep({ ...common, store, logRetentionMs });
    this.#tables = new DeltaTables(options);
  }

  get unkempt() {
    return this.#upkeep.failing;
  }

  named(name: string): DeltaTable {
    return this.#tables.named(name);
  }

  /** As of the last `read`; undefined if this process does not know. */
  shown(name: string): LaneCommits | undefined {
    return this.#shown.get(name);
  }

  /**
   * By lane, the commit up to which the table shows everything. Rejects with TABLE_CONFLICT, see `shownLanes`;
   * with LAKE_DAMAGED if the table shows a commit that the log does not know; with the errors of the table.
   *
   * @param lake The state of the log, read before the table.
   */
  async read(committed: CommittedLanes, lake: LakeState): Promise<ReadLanes> {
    const { commitLog } = this.options;
    const { name } = committed;
    const { txns, version } = await this.named(name).refresh();
    const transactions = settledLanes(txns, commitLog.lakeId);
    const highest = Math.max(...Object.values(transactions));
    if (highest > lake.number) await refuseUnknownCommit(commitLog, name, highest);
    const shown = shownLanes(committed, { version, transactions }, lake);
    this.shows(name, shown);
    this.#failing.clear();
    return { shown, transactions };
  }

  shows(name: string, shown: LaneCommits): void {
    this.#shown.set(name, shown);
    for (const lane of lanes) this.unsettled.shown(name, lane, shown[lane]);
  }

  /** After a version of this process. Writes a checkpoint of the table if one is due. */
  async settled(name: string): Promise<void> {
    this.#failing.clear();
    this.#faults.published(name);
    this.metrics.published();
    const table = this.named(name);
    if (await this.#upkeep.run(table)) return;
    table.startOver();
    this.#shown.delete(name);
  }

  /**
   * Parks the table if the failure is its own, or repeats. Throws a failure that concerns the whole lake, as
   * that of the store does if several tables fail in a row.
   *
   * @param first The first commit that the table lacks; null if unknown.
   */
  async failed(
    committed: CommittedLanes,
    error: unknown,
    first: number | null,
  ): Promise<"parked" | "failed"> {
    const { name } = committed;
    if (!this.#faults.isOfTable(name, error)) {
      this.#failing.add(name);
      if (scopeOf(error, name) === "lake" || this.#failing.size >= failingMax) throw error;
      const fields = { event: "table.settle.failed", table: name, err: error };
      this.options.logger.warn(fields, `table ${name} was not settled; Tidegate tries again`);
      return "failed";
    }
    await this.park(committed, error, first);
    return "parked";
  }

  async park(committed: CommittedLanes, error: unknown, first: number | null): Promise<void> {
    const { name } = committed;
    const url = `${this.options.store.url}/${name}`;
    const table = { name, url, fittingVersion: await this.#fittingVersion(committed) };
    this.parked.park(name, { error, firstLacking: first, wayOut: wayOutOf(error, table) });
  }

  async #fittingVersion({ name, topics }: CommittedLanes): Promise<number | null> {
    try {
      const state = await this.named(name).refresh();
      return fittingVersion(name, state, await columnsOf(this.options.topics, topics));
    } catch {
      return null;
    }
  }
}
