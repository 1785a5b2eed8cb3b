import { performance } from "node:perf_hooks";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { TopicCatalog } from "../../consumer/topic-catalog.ts";
import { BridgeError } from "../../errors.ts";
import { BoundedWork } from "../bounded-work.ts";
import type { LakeState } from "../commit-log.ts";
import type { CommittedEntries } from "../follow/committed-entries.ts";
import { createCommittedEntries } from "../follow/log-entries.ts";
import type { LakeCommitLog } from "../lake-commit-log.ts";
import type { ObjectStore } from "../object-store.ts";
import type { TablePublisher, TableTroubles } from "../seed-source.ts";
import { StorageMetrics } from "../storage-metrics.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";
import { logFolder } from "./delta-log.ts";
import { type DeltaState, DeltaTable } from "./delta-table.ts";
import { fittingVersion } from "./fitting-version.ts";
import { withoutGoneFiles } from "./gone-files.ts";
import { type LackingCommits, lackingCommits, type Pending } from "./lacking-commits.ts";
import { ParkedTables } from "./parked-tables.ts";
import { checkTable, columnsOf, entryActions } from "./table-entry.ts";
import { scopeOf } from "./table-faults.ts";
import { TableUpkeep } from "./table-upkeep.ts";
import { wayOutOf } from "./way-out.ts";

/** Lost races on one table before its publishing is given up for now. */
const racesMax = 50;
/** Tables written at a time: over a network each entry waits for two answers. */
const tablesAtOnce = 4;
/** Failures of the store at one table, one after another, before it is taken for the table's own: everybody waits for each of them. */
const storeFailuresMax = 5;
const dayMs = 86_400_000;
const defaultCommitRetentionMs = 7 * dayMs;
const defaultLogRetentionMs = 30 * dayMs;
/** A month of commits each five seconds. */
const defaultParkedCommitsMax = 500_000;

export interface TablePublisherOptions {
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly topics: TopicCatalog;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly now?: () => number;
  /** ms on a clock that never goes back. */
  readonly elapsedMs?: () => number;
  /** How long entries of a table's log are kept after a checkpoint has replaced them, for time travel. Default 30 d. */
  readonly logRetentionMs?: number;
  /** Entries of a table's log between two checkpoints. Default 100. */
  readonly checkpointEntries?: number;
  /** How long entries of the commit log are kept, if no topic's window is longer. Default 7 d. */
  readonly commitRetentionMs?: number;
  /** Entries that the commit log may hold for a table that can't be published. Beyond that nothing is filed. Default 500,000. */
  readonly parkedCommitsMax?: number;
  readonly checkpoints?: CheckpointFiles;
  readonly readAhead?: number;
}

/**
 * A follower of the commit log by entries, with a position for each table: the commit in its Delta transaction (`txn`), written by the
 * entry that adds the files. The consumer calls it after each commit, and `recover` repeats what a process that died has left out.
 */
class DeltaTablePublisher implements TablePublisher {
  readonly #options: TablePublisherOptions;
  readonly #entries: CommittedEntries;
  readonly #metrics: StorageMetrics;
  readonly #now: () => number;
  readonly #appId: string;
  readonly #tables = new Map<string, DeltaTable>();
  /** By table name: the commit up to which it is known to show everything. */
  readonly #published = new Map<string, number>();
  readonly #parked: ParkedTables;
  /** By table name: failures of the store since it was published last. */
  readonly #storeFailures = new Map<string, number>();
  readonly #upkeep: TableUpkeep;
  #newest = 0;
  /** Of the commit log. */
  #firstKept = 1;

  constructor(options: TablePublisherOptions) {
    const { store, registry, logger, commitLog, readAhead, now = Date.now } = options;
    const { elapsedMs = () => performance.now(), logRetentionMs = defaultLogRetentionMs } = options;
    this.#options = options;
    this.#entries = createCommittedEntries({
      store,
      commitLog,
      ...(readAhead !== undefined && { readAhead }),
    });
    this.#metrics = new StorageMetrics(registry);
    this.#now = now;
    this.#appId = `tidegate/${commitLog.lakeId}`;
    const common = { logger, metrics: this.#metrics, now, elapsedMs };
    this.#parked = new ParkedTables(common);
    this.#upkeep = new TableUpkeep({ ...common, store, logRetentionMs });
  }

  async publishPending(): Promise<{ published: number }> {
    const { commitLog, topics } = this.#options;
    const state = await this.#entries.state();
    this.#firstKept = state.firstKept;
    let published = await this.#publishAll(state);
    if (await commitLog.isMaintenanceDue(state)) {
      await this.#lookAgain();
      published += await this.#publishAll(state);
    }
    const { commitRetentionMs = defaultCommitRetentionMs } = this.#options;
    const retainMs = Math.max(commitRetentionMs, topics.longestWindowMs());
    await commitLog.maintain({ publishedUpTo: this.#publishedUpTo(state), retainMs });
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
    for (const [name, pending] of this.#pendingByName(state)) {
      if (this.#parked.isWaiting(name)) continue;
      await tables.add(() =>
        // One table's fault must not keep the others from showing what is committed.
        this.#publish(name, pending).catch((error: unknown) => this.#parkOrThrow(name, pending, error)),
      );
    }
    return (await tables.results()).reduce<number>((sum, written) => sum + written, 0);
  }

  /** Every table shows every commit up to this one. */
  #publishedUpTo(state: LakeState): number {
    let upTo = state.number;
    for (const name of this.#pendingByName(state).keys()) {
      const lacking = this.#parked.firstLacking(name) ?? (this.#published.get(name) ?? 0) + 1;
      upTo = Math.min(upTo, lacking - 1);
    }
    return upTo;
  }

  async #parkOrThrow(name: string, pending: readonly Pending[], error: unknown): Promise<0> {
    if (!this.#isOfOneTable(name, error)) throw error;
    const shown = this.#published.get(name);
    const firstLacking = shown === undefined ? null : await this.#firstLacking(name, pending, shown);
    const table = {
      url: `${this.#options.store.url}/${name}`,
      fittingVersion: await this.#fittingVersion(name, pending),
    };
    this.#parked.park(name, { error, firstLacking, wayOut: wayOutOf(error, table) });
    return 0;
  }

  /** A failure of the store may be everybody's, unless it comes again and again for this table. */
  #isOfOneTable(name: string, error: unknown): boolean {
    const scope = scopeOf(error, name);
    if (scope !== "unsure") return scope === "table";
    const failures = (this.#storeFailures.get(name) ?? 0) + 1;
    this.#storeFailures.set(name, failures);
    return failures >= storeFailuresMax;
  }

  /** Entries from there are kept for it. It is looked for once: what the table shows does not change while it is parked. */
  async #firstLacking(name: string, pending: readonly Pending[], shown: number): Promise<number> {
    const known = this.#parked.firstLacking(name);
    if (known !== null && known > shown) return known;
    try {
      return (await this.#lacking(pending, shown, known)).first;
    } catch {
      return shown + 1;
    }
  }

  async #fittingVersion(name: string, pending: readonly Pending[]): Promise<number | null> {
    try {
      const table = this.#tableNamed(name);
      return fittingVersion(name, await table.refresh(), await columnsOf(this.#options.topics, pending));
    } catch {
      return null;
    }
  }

  async #lacking(pending: readonly Pending[], shown: number, from: number | null): Promise<LackingCommits> {
    return lackingCommits(this.#entries, pending, { shown, from: Math.max(from ?? 0, this.#firstKept) });
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
    let upTo = target;
    for (let races = 0; written === 0; races++) {
      const state = await table.refresh();
      const shown = state.txns.get(this.#appId)?.version ?? 0;
      if (shown > target) await this.#refuseUnknownCommit(name, shown);
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
    this.#storeFailures.delete(name);
    if (written) this.#metrics.published();
    if (upTo < target) this.#parked.catchingUp(name, upTo + 1);
    else this.#parked.resume(name);
    if (!(await this.#upkeep.run(table))) this.#startOver(table);
    return written;
  }

  /** "shown": the table shows more than it did, so that entries which are not there any more are not needed either. */
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
    // Before entries are read: a table that is parked for weeks lacks many.
    checkTable(name, state, columns);
    const nowMs = this.#now();
    const parkedFrom = this.#parked.firstLacking(name);
    const lacking = await this.#lacking(pending, shown, parkedFrom);
    const { upTo } = lacking;
    const { files, gone } = await withoutGoneFiles(store, name, lacking.files, {
      nowMs,
      isLate: parkedFrom !== null,
    });
    for (const { path, rows } of gone) {
      this.#metrics.goneRows(name, rows);
      logger.error(
        { event: "table.file.gone", table: name, path, rows },
        "a committed file was deleted before its table could show it: its rows are lost",
      );
    }
    return { upTo, actions: entryActions(name, state, { columns, appId: this.#appId, upTo, files, nowMs }) };
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
}

/** Its log was deleted, or replaced by an older copy. */
function shownTooLittle(table: string, shown: number, firstKept: number): BridgeError {
  const path = logFolder(table);
  return new BridgeError(
    "LAKE_DAMAGED",
    `table ${table} shows commits up to ${shown}, and what came next is not in the commit log any more, which begins at ${firstKept}`,
    { retryable: false, details: { table, path } },
  );
}

function alwaysOthers(table: string, races: number): BridgeError {
  const text = `table ${table}: ${races} other entries came first, one after another`;
  return new BridgeError("STORE_UNAVAILABLE", text, { retryable: true, details: { table } });
}

/** Shows committed files in their Delta tables, and keeps the tables' logs and the commit log short. */
export function createTablePublisher(options: TablePublisherOptions): TablePublisher {
  return new DeltaTablePublisher(options);
}
