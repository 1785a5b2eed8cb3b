import { BridgeError } from "../../errors.ts";
import type { LocalCopies, ObjectStore } from "../object-store.ts";
import { type SnapshotFile, type TableSnapshot, unreadable } from "../table-snapshots.ts";
import type { Duckdb } from "./duckdb.ts";
import {
  createEmptyTableSql,
  createViewSql,
  type FileSource,
  filesByPartition,
  readFilesSql,
} from "./table-view.ts";

/** How far the copying of a query's files is. */
export type QueryProgress = (progress: {
  readonly files: number;
  readonly filesTotal: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}) => void;

/** Empty tables that stand for files while a query is planned. */
const placeholders = "_not_copied";

/**
 * Makes each table a view of its files, where engines can read them as they are. Not in a transaction: a table whose view can't be made
 * would end it. Such a table, for instance with a file that is gone, has a fault in the snapshots that are returned.
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
  const sources = filesByPartition(snapshot.files).map((files) => sourceOf(snapshot, files, copies));
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

function sourceOf(snapshot: TableSnapshot, files: readonly SnapshotFile[], copies: LocalCopies): FileSource {
  return {
    files,
    from: readFilesSql(
      snapshot,
      files.map(({ path }) => copies.location(path)),
    ),
  };
}

/** The files of one table with the same partition values. */
interface FileGroup {
  readonly snapshot: TableSnapshot;
  readonly files: readonly SnapshotFile[];
  readonly placeholder: string;
}

/**
 * The same where files have to be copied first: DuckDB plans the query over empty tables, and what is left of them in the plan, once
 * partition values have been folded in, is what the query reads. To be called in a transaction, in which `now()` stands still: then the
 * plan made later for the copies leaves out the same ones.
 */
export class CopiedViews {
  readonly #duckdb: Duckdb;
  readonly #store: ObjectStore;
  readonly #groups: readonly FileGroup[];
  readonly #snapshots: readonly TableSnapshot[];

  constructor(duckdb: Duckdb, store: ObjectStore, snapshots: readonly TableSnapshot[]) {
    this.#duckdb = duckdb;
    this.#store = store;
    this.#snapshots = snapshots;
    this.#groups = snapshots
      .flatMap((snapshot) => filesByPartition(snapshot.files).map((files) => ({ snapshot, files })))
      .map((group, index) => ({ ...group, placeholder: `${placeholders}.g${index}` }));
  }

  /** Makes the views without any rows. */
  async showNothing(): Promise<void> {
    const { connection } = this.#duckdb;
    await connection.run(`CREATE SCHEMA ${placeholders}`);
    for (const { snapshot, placeholder } of this.#groups)
      await connection.run(createEmptyTableSql(snapshot, placeholder));
    await this.#createViews(({ placeholder }) => placeholder);
  }

  /** Copies what `sql` reads and shows it. Rejects with QUERY_REFUSED where that is more than the store's bound. */
  async showNeeded(sql: string, onProgress?: QueryProgress): Promise<LocalCopies> {
    const needed = new Set(await this.#needed(sql));
    const files = [...needed].flatMap((group) => group.files);
    const bytesTotal = files.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#refuseTooMuch(bytesTotal);
    const copies = await this.#store.localCopies(
      files.map(({ path }) => path),
      (progress) => onProgress?.({ ...progress, filesTotal: files.length, bytesTotal }),
    );
    await this.#createViews((group) =>
      needed.has(group) ? sourceOf(group.snapshot, group.files, copies).from : group.placeholder,
    );
    return copies;
  }

  async #needed(sql: string): Promise<FileGroup[]> {
    const { connection } = this.#duckdb;
    // It would leave out empty tables for being empty.
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
      `this query reads ${mib(bytes)} MiB of files, which have to be copied here first, and s3.cacheMaxBytes allows ${mib(copyMaxBytes)} MiB: narrow it by event_date and event_hour, or raise that setting`,
      { retryable: false, details: { bytes } },
    );
  }

  async #createViews(from: (group: FileGroup) => string): Promise<void> {
    for (const snapshot of this.#snapshots) {
      const groups = this.#groups.filter((group) => group.snapshot === snapshot);
      const sources = groups.map((group) => ({ files: group.files, from: from(group) }));
      await this.#duckdb.connection.run(createViewSql(snapshot, sources));
    }
  }
}
