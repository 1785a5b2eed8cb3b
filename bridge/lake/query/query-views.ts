import { BridgeError } from "../../errors.ts";
import type { Duckdb } from "../parquet/duckdb.ts";
import type { LocalCopies, ObjectStore } from "../stores/object-store.ts";
import { createEmptyTableSql, readFilesSql } from "./column-sql.ts";
import { rowGroups } from "./row-groups.ts";
import { unreadable } from "./shown-table.ts";
import type { TableSnapshot } from "./table-snapshots.ts";
import { createViewSql, type GroupSource, type RowGroup } from "./table-view.ts";

/** Reports how many of a query's files are copied. */
export type QueryProgress = (progress: {
  readonly files: number;
  readonly filesTotal: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}) => void;

/** Schema of empty tables that replace files while a query is planned. */
const placeholders = "_not_copied";

/**
 * Makes each table a view of its files, for a store whose files engines can read in place. Returns the
 * snapshots; a table whose view cannot be created (for instance because a file is gone) has a fault there.
 * Not in a transaction, because such a failure would abort it.
 */
export async function showFiles(
  duckdb: Duckdb,
  copies: LocalCopies,
  snapshots: readonly TableSnapshot[],
): Promise<TableSnapshot[]> {
  const shown: TableSnapshot[] = [];
  for (const snapshot of snapshots) shown.push(await showTable(duckdb, copies, snapshot));
  return shown;
}

async function showTable(
  { connection }: Duckdb,
  copies: LocalCopies,
  snapshot: TableSnapshot,
): Promise<TableSnapshot> {
  const sources = rowGroups(snapshot).map((group) => sourceOf(group, copies));
  try {
    await connection.run(createViewSql(snapshot, sources));
    return snapshot;
  } catch (error) {
    const [why] = (error instanceof Error ? error.message : String(error)).split("\n");
    const faulty = { ...snapshot, fault: unreadable(snapshot.name, why) };
    await connection.run(createViewSql(faulty, []));
    return faulty;
  }
}

function sourceOf(group: RowGroup, copies: LocalCopies): GroupSource {
  const locations = group.files.map(({ path }) => copies.location(path));
  return { group, from: readFilesSql(group.columns, locations) };
}

interface PlannedGroup {
  readonly snapshot: TableSnapshot;
  readonly group: RowGroup;
  /** An empty table with the columns of the group. */
  readonly placeholder: string;
}

/**
 * Views for a store whose files must be copied first. DuckDB plans the query over empty tables. Once it has
 * folded in the partition values, the tables left in the plan are what the query reads. Call it in a
 * transaction, in which `now()` stands still: so the plan over the copies leaves out the same files.
 */
export class CopiedViews {
  readonly #duckdb: Duckdb;
  readonly #store: ObjectStore;
  readonly #groups: readonly PlannedGroup[];
  readonly #snapshots: readonly TableSnapshot[];

  constructor(duckdb: Duckdb, store: ObjectStore, snapshots: readonly TableSnapshot[]) {
    this.#duckdb = duckdb;
    this.#store = store;
    this.#snapshots = snapshots;
    this.#groups = snapshots
      .flatMap((snapshot) => rowGroups(snapshot).map((group) => ({ snapshot, group })))
      .map((planned, index) => ({ ...planned, placeholder: `${placeholders}.g${index}` }));
  }

  /** Creates the views over empty tables. */
  async showNothing(): Promise<void> {
    const { connection } = this.#duckdb;
    await connection.run(`CREATE SCHEMA ${placeholders}`);
    for (const { group, placeholder } of this.#groups)
      await connection.run(createEmptyTableSql(group.columns, placeholder));
    await this.#createViews(({ placeholder }) => placeholder);
  }

  /**
   * Copies the files that `sql` reads, and creates the views over them. Rejects with QUERY_REFUSED if their
   * size exceeds the store's bound.
   */
  async showNeeded(sql: string, onProgress?: QueryProgress): Promise<LocalCopies> {
    const needed = new Set(await this.#needed(sql));
    // Tables share landing files.
    const files = [
      ...new Map([...needed].flatMap(({ group }) => group.files).map((file) => [file.path, file])).values(),
    ];
    const bytesTotal = files.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#refuseTooMuch(bytesTotal);
    const copies = await this.#store.localCopies(
      files.map(({ path }) => path),
      (progress) => onProgress?.({ ...progress, filesTotal: files.length, bytesTotal }),
    );
    await this.#createViews((planned) =>
      needed.has(planned) ? sourceOf(planned.group, copies).from : planned.placeholder,
    );
    return copies;
  }

  async #needed(sql: string): Promise<PlannedGroup[]> {
    const { connection } = this.#duckdb;
    // This optimizer would drop the tables from the plan because they are empty.
    await connection.run("SET disabled_optimizers = 'statistics_propagation'");
    const plan = await connection.runAndReadAll(`EXPLAIN (FORMAT json) ${sql}`);
    await connection.run("RESET disabled_optimizers");
    const text = plan.getRows().map(String).join("\n");
    const named = new Set([...text.matchAll(/_not_copied\.g(\d+)\b/g)].map(([, index]) => Number(index)));
    return this.#groups.filter((_, index) => named.has(index));
  }

  #refuseTooMuch(bytes: number): void {
    const { copyMaxBytes } = this.#store;
    if (copyMaxBytes === null || bytes <= copyMaxBytes) return;
    const mib = (value: number) => Math.ceil(value / 1024 ** 2);
    throw new BridgeError(
      "QUERY_REFUSED",
      `this query has to copy ${mib(bytes)} MiB of files to this machine, but s3.cacheMaxBytes allows ${mib(copyMaxBytes)} MiB: narrow the query by event_date and event_hour, or raise that setting`,
      { retryable: false, details: { bytes } },
    );
  }

  async #createViews(from: (planned: PlannedGroup) => string): Promise<void> {
    for (const snapshot of this.#snapshots) {
      const planned = this.#groups.filter((each) => each.snapshot === snapshot);
      const sources = planned.map((each) => ({ group: each.group, from: from(each) }));
      await this.#duckdb.connection.run(createViewSql(snapshot, sources));
    }
  }
}
