import { performance } from "node:perf_hooks";
import type { LakeState } from "../commit-log/commit-log.ts";
import type { CommittedEntries } from "../commit-log/committed-entries.ts";
import { type LaneCommits, noCommits } from "../commit-log/lane-commits.ts";
import { createCommittedEntries } from "../commit-log/log-entries.ts";
import { BoundedWork } from "../stores/bounded-work.ts";
import type { TablePublisher, TableTroubles } from "../table-publishing.ts";
import type { DeltaState } from "./delta-state.ts";
import type { DeltaTable } from "./delta-table.ts";
import { DeltaTables } from "./delta-tables.ts";
import { fittingVersion } from "./fitting-version.ts";
import { withoutGoneFiles } from "./gone-files.ts";
import { type LackingCommits, lackingCommits, type Pending, pendingByName } from "./lacking-commits.ts";
import { landedRowsShownUpTo, readShownLanes } from "./landed-bounds.ts";
import { ParkedTables } from "./parked-tables.ts";
import { alwaysOthers, refuseUnknownCommit, shownTooLittle } from "./publishing-errors.ts";
import { StorageMetrics } from "./storage-metrics.ts";
import { checkTable, columnsOf, entryActions } from "./table-entry.ts";
import { scopeOf, TableFaults } from "./table-faults.ts";
import type { TablePublisherOptions } from "./table-publisher-options.ts";
import { TableUpkeep } from "./table-upkeep.ts";
import { UnsettledCommits } from "./unsettled-commits.ts";
import { wayOutOf } from "./way-out.ts";

/** Lost races on one table in a row before its publishing stops until the next call. */
const racesMax = 50;
/** Tables to write in parallel, because each entry waits for two answers of the store. */
const tablesAtOnce = 4;
const dayMs = 86_400_000;
const defaultCommitRetentionMs = 7 * dayMs;
const defaultLogRetentionMs = 30 * dayMs;
/** A month of commits each 5 s. */
const defaultParkedCommitsMax = 500_000;

/**
 * Follows the commit log entry by entry, with one position per table: the commit in the table's Delta
 * transaction (`txn`). The entry that adds the files also writes the position. The consumer calls the
 * publisher after each commit. `recover` repeats what a dead process left out.
 */
class DeltaTablePublisher implements TablePublisher {
  readonly #options: TablePublisherOptions;
  readonly #entries: CommittedEntries;
  readonly #unsettled: UnsettledCommits;
  readonly #metrics: StorageMetrics;
  readonly #now: () => number;
  readonly #appId: string;
  readonly #tables: DeltaTables;
  /** By table name: the commit up to which the table is known to show everything. */
  readonly #published = new Map<string, number>();
  readonly #parked: ParkedTables;
  readonly #faults = new TableFaults();
  readonly #upkeep: TableUpkeep;
  #newest = 0;

  constructor(options: TablePublisherOptions) {
    const { store, registry, logger, commitLog, readAhead, now = Date.now } = options;
    const { elapsedMs = () => performance.now(), logRetentionMs = defaultLogRetentionMs } = options;
    this.#options = options;
    this.#entries = createCommittedEntries({
      store,
      commitLog,
      ...(readAhead !== undefined && { readAhead }),
    });
    this.#unsettled = new UnsettledCommits(store, this.#entries);
    this.#metrics = new StorageMetrics(registry);
    this.#now = now;
    this.#appId = `tidegate/${commitLog.lakeId}`;
    const common = { logger, metrics: this.#metrics, now, elapsedMs };
    this.#parked = new ParkedTables(common);
    this.#upkeep = new TableUpkeep({ ...common, store, logRetentionMs });
    this.#tables = new DeltaTables(options);
  }

  async publishPending(): Promise<{ published: number }> {
    const { commitLog, topics } = this.#options;
    const state = await this.#entries.state();
    await this.#unsettled.readTo(state.number);
    let published = await this.#publishAll(state);
    let shown: ReadonlyMap<string, LaneCommits> = new Map();
    if (await commitLog.isMaintenanceDue(state)) {
      await this.#lookAgain();
      published += await this.#publishAll(state);
      shown = await readShownLanes(state, (name) => this.#tables.named(name), commitLog.lakeId);
    }
    const { commitRetentionMs = defaultCommitRetentionMs } = this.#options;
    const retainMs = Math.max(commitRetentionMs, topics.longestWindowMs());
    const publishedUpTo = Math.min(this.#publishedUpTo(state), landedRowsShownUpTo(state, shown));
    await commitLog.maintain({ publishedUpTo, settled: this.#settled(state, shown), retainMs });
    this.#newest = state.number;
    this.#parked.report(state.number);
    const { parkedCommitsMax = defaultParkedCommitsMax } = this.#options;
    this.#parked.refuseToHoldMore(state.number, parkedCommitsMax);
    return { published };
  }

  troubles(): TableTroubles {
    return { parked: this.#parked.list(this.#newest), unkempt: this.#upkeep.failing };
  }

  isRetryDue(): boolean {
    return this.#parked.isRetryDue();
  }

  async #publishAll(state: LakeState): Promise<number> {
    const tables = new BoundedWork<0 | 1>(tablesAtOnce);
    for (const [name, pending] of pendingByName(state, this.#published)) {
      if (this.#parked.isWaiting(name)) continue;
      await tables.add(() =>
        // A fault of one table must not stop the others.
        this.#publish(name, pending).catch((error: unknown) => this.#parkOrThrow(name, pending, error)),
      );
    }
    return (await tables.results()).reduce<number>((sum, written) => sum + written, 0);
  }

  /** Every table shows every commit up to this one. */
  #publishedUpTo(state: LakeState): number {
    let upTo = state.number;
    for (const name of pendingByName(state, this.#published).keys()) {
      const lacking = this.#parked.firstLacking(name) ?? (this.#published.get(name) ?? 0) + 1;
      upTo = Math.min(upTo, lacking - 1);
    }
    return upTo;
  }

  /** By topic id: what its table shows. */
  #settled({ tables }: LakeState, shown: ReadonlyMap<string, LaneCommits>): Map<string, LaneCommits> {
    const lanesOf = (name: string) => ({
      ...(shown.get(name) ?? noCommits),
      direct: this.#published.get(name) ?? 0,
    });
    return new Map([...tables].map(([key, { name }]) => [key, lanesOf(name)]));
  }

  async #parkOrThrow(name: string, pending: readonly Pending[], error: unknown): Promise<0> {
    if (!this.#faults.isOfTable(name, error)) throw error;
    const shown = this.#published.get(name);
    const firstLacking = shown === undefined ? null : await this.#firstLacking(name, pending, shown);
    const table = {
      name,
      url: `${this.#options.store.url}/${name}`,
      fittingVersion: await this.#fittingVersion(name, pending),
    };
    this.#parked.park(name, { error, firstLacking, wayOut: wayOutOf(error, table) });
    return 0;
  }

  /**
   * The commit log keeps entries from this one on for the table. Looked up once, because what the table shows
   * does not change while it is parked.
   */
  async #firstLacking(name: string, pending: readonly Pending[], shown: number): Promise<number> {
    const known = this.#parked.firstLacking(name);
    if (known !== null && known > shown) return known;
    try {
      return (await this.#lacking(name, pending, { shown, from: known })).first;
    } catch {
      return shown + 1;
    }
  }

  async #fittingVersion(name: string, pending: readonly Pending[]): Promise<number | null> {
    try {
      const table = this.#tables.named(name);
      return fittingVersion(name, await table.refresh(), await columnsOf(this.#options.topics, pending));
    } catch {
      return null;
    }
  }

  #lacking(
    table: string,
    pending: readonly Pending[],
    { shown, from }: { readonly shown: number; readonly from: number | null },
  ): Promise<LackingCommits> {
    const log = { entries: this.#entries, unsettled: this.#unsettled };
    return lackingCommits(log, { table, shown, target: targetOf(pending), from: from ?? 0 });
  }

  /**
   * Runs before published entries of the commit log are given up. If a table's log was cleaned up meanwhile,
   * an entry that this process put below that point shows nothing.
   */
  async #lookAgain(): Promise<void> {
    for (const table of this.#tables.opened()) if (await table.isLeftBehind()) this.#startOver(table);
  }

  #startOver(table: DeltaTable): void {
    table.startOver();
    this.#published.delete(table.name);
  }

  /** Resolves with 1 if it wrote an entry, 0 if the table was up to date. */
  async #publish(name: string, pending: readonly Pending[]): Promise<0 | 1> {
    const table = this.#tables.named(name);
    const target = targetOf(pending);
    let written: 0 | 1 = 0;
    let upTo = target;
    for (let races = 0; written === 0; races++) {
      const state = await table.refresh();
      const shown = state.txns.get(this.#appId)?.version ?? 0;
      if (shown > target) await refuseUnknownCommit(this.#options.commitLog, name, shown);
      this.#published.set(name, shown);
      if (shown >= target) break;
      if (state.version < 0) await table.refuseOtherContent();
      const next = await this.#entryOrShown(table, state, { pending, shown });
      if (next === "shown") continue;
      if ((await table.append(next.actions)) === "created") {
        written = 1;
        upTo = next.upTo;
      } else {
        this.#metrics.lostRace();
        if (races >= racesMax) throw alwaysOthers(name, races);
      }
    }
    this.#published.set(name, upTo);
    this.#unsettled.shown(name, "direct", upTo);
    this.#faults.published(name);
    if (written) this.#metrics.published();
    if (upTo < target) this.#parked.catchingUp(name, upTo + 1);
    else this.#parked.resume(name);
    if (!(await this.#upkeep.run(table))) this.#startOver(table);
    return written;
  }

  /**
   * Resolves with "shown" if the table shows more than `lacking.shown` by now, so that missing entries are
   * not needed.
   */
  async #entryOrShown(
    table: DeltaTable,
    state: Readonly<DeltaState>,
    lacking: { readonly pending: readonly Pending[]; readonly shown: number },
  ) {
    try {
      return await this.#entryAfter(table.name, state, lacking);
    } catch (error) {
      if (scopeOf(error, table.name) !== "lake") throw error;
      table.startOver();
      const { txns } = await table.refresh();
      if ((txns.get(this.#appId)?.version ?? 0) > lacking.shown) return "shown";
      const { firstKept } = await this.#entries.state();
      throw lacking.shown + 1 < firstKept ? shownTooLittle(table.name, lacking.shown, firstKept) : error;
    }
  }

  async #entryAfter(
    name: string,
    state: Readonly<DeltaState>,
    { pending, shown }: { readonly pending: readonly Pending[]; readonly shown: number },
  ) {
    const { store, topics, logger } = this.#options;
    const columns = await columnsOf(topics, pending);
    // Check before reading entries: a table that was parked for weeks lacks many.
    checkTable(name, state, columns);
    const nowMs = this.#now();
    const parkedFrom = this.#parked.firstLacking(name);
    const lacking = await this.#lacking(name, pending, { shown, from: parkedFrom });
    const { upTo } = lacking;
    const { files, gone } = await withoutGoneFiles(store, name, lacking.files, {
      nowMs,
      isLate: parkedFrom !== null,
    });
    for (const { path, rows } of gone) {
      this.#metrics.goneRows(name, rows);
      logger.error(
        { event: "table.file.gone", table: name, path, rows },
        "another writer deleted a committed file before its table could show it: its rows are lost",
      );
    }
    const transactions = [{ appId: this.#appId, upTo }];
    return { upTo, actions: entryActions(name, state, { columns, transactions, files, nowMs }) };
  }
}

function targetOf(pending: readonly Pending[]): number {
  return Math.max(...pending.map(({ lastCommit }) => lastCommit));
}

/**
 * Creates the publisher that shows committed files in their Delta tables, and keeps the tables' logs and the
 * commit log short.
 */
export function createTablePublisher(options: TablePublisherOptions): TablePublisher {
  return new DeltaTablePublisher(options);
}
