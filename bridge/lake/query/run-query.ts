import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type DuckDBPreparedStatement, StatementType } from "@duckdb/node-api";
import { BridgeError } from "../../errors.ts";
import { type Duckdb, openDuckdb, quoteText } from "../parquet/duckdb.ts";
import type { LocalCopies, ObjectStore } from "../stores/object-store.ts";
import { CopiedViews, type QueryProgress, showFiles } from "./query-views.ts";
import { type ResultValue, resultValue } from "./result-value.ts";
import { readTableSnapshots, type TableSnapshot } from "./table-snapshots.ts";

export interface QueryOptions {
  readonly store: ObjectStore;
  /** A result with more rows is refused, not cut. */
  readonly rowsMax?: number;
  readonly memoryLimitBytes?: number;
  /** A table that lacks more commits is refused, see `LiveRowsOptions.entriesMax`. */
  readonly lackingCommitsMax?: number;
  /** Called while files are copied to this machine. */
  readonly onProgress?: QueryProgress;
}

export interface QueryResult {
  readonly columns: readonly string[];
  /** SQL types of the columns. */
  readonly types: readonly string[];
  readonly rows: readonly (readonly ResultValue[])[];
}

function refused(message: string): BridgeError {
  return new BridgeError("QUERY_REFUSED", message, { retryable: false });
}

/**
 * Runs one SELECT (or DESCRIBE, SHOW, EXPLAIN …) over the current snapshots of all tables of a lake; each
 * table is a view of its name. The query can read nothing outside the lake's folder, and cannot write.
 * Rejects with QUERY_REFUSED, QUERY_FAILED (the text says why), the errors of `readTableSnapshots`, and the
 * faults of the tables that the query reads. Faults of other tables have no effect.
 */
export async function runQuery(sql: string, options: QueryOptions): Promise<QueryResult> {
  const { store, rowsMax = 1_000_000, memoryLimitBytes = 1024 ** 3 } = options;
  let snapshots = await readTableSnapshots(store, {
    isWanted: mayRead(sql),
    ...(options.lackingCommitsMax !== undefined && { entriesMax: options.lackingCommitsMax }),
  });
  const spillFolder = join(store.stagingFolder, `query-${randomUUID()}`);
  const duckdb = await openDuckdb({ memoryLimitBytes, spillFolder, threads: 2 });
  let copies: LocalCopies | undefined;
  try {
    if (store.copyMaxBytes === null) {
      copies = await store.localCopies([]);
      snapshots = await showFiles(duckdb, copies, snapshots);
    } else {
      // If files are copied first, `now()` must have the same value for planning and reading.
      await duckdb.connection.run("BEGIN TRANSACTION");
      copies = await showCopies(duckdb, sql, options, snapshots);
    }
    await confine(duckdb, [copies.folder, spillFolder]);
    return await answer((await prepareSelect(duckdb, sql)).statement, rowsMax);
  } catch (error) {
    if (error instanceof BridgeError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    const fault = snapshots.find((table) => table.fault && message.includes(table.fault.message))?.fault;
    if (fault) throw fault;
    throw new BridgeError("QUERY_FAILED", message, { retryable: false, cause: error });
  } finally {
    await duckdb.close();
    await copies?.release();
  }
}

/** Whether a query may read a table: its text has the table's name, or makes names of tables by itself. */
function mayRead(sql: string): (name: string) => boolean {
  const text = sql.toLowerCase();
  const makesNames = /\bquery(_table)?\b|u&/.test(text);
  return (name) => makesNames || text.includes(name);
}

async function showCopies(
  duckdb: Duckdb,
  sql: string,
  { store, onProgress }: QueryOptions,
  snapshots: readonly TableSnapshot[],
): Promise<LocalCopies> {
  const views = new CopiedViews(duckdb, store, snapshots);
  await views.showNothing();
  const { isExplain } = await prepareSelect(duckdb, sql);
  return isExplain ? await store.localCopies([]) : await views.showNeeded(sql, onProgress);
}

async function confine({ connection }: Duckdb, folders: readonly string[]): Promise<void> {
  await connection.run(
    `SET allowed_directories = [${folders.map((folder) => quoteText(`${folder}/`)).join(", ")}]`,
  );
  await connection.run("SET enable_external_access = false");
  await connection.run("SET lock_configuration = true");
}

async function prepareSelect(
  { connection }: Duckdb,
  sql: string,
): Promise<{ statement: DuckDBPreparedStatement; isExplain: boolean }> {
  if (sql.trim() === "") throw refused("the query is empty");
  const statements = await connection.extractStatements(sql);
  if (statements.count !== 1) throw refused(`one statement at a time, not ${statements.count}`);
  const statement = await statements.prepare(0);
  const { statementType } = statement;
  // EXPLAIN ANALYZE runs its statement, which may be a COPY.
  const isExplain = statementType === StatementType.EXPLAIN && !/\banalyze\b/i.test(sql);
  if (statementType !== StatementType.SELECT && !isExplain)
    throw refused(
      "only SELECT, DESCRIBE, SHOW, SUMMARIZE, and EXPLAIN without ANALYZE are allowed, because the tables are read-only here",
    );
  return { statement, isExplain };
}

async function answer(statement: DuckDBPreparedStatement, rowsMax: number): Promise<QueryResult> {
  const result = await statement.stream();
  const rows: ResultValue[][] = [];
  for (;;) {
    const chunk = await result.fetchChunk();
    if (!chunk || chunk.rowCount === 0) break;
    for (const row of chunk.getRows()) rows.push(row.map(resultValue));
    if (rows.length > rowsMax) throw refused(`more than ${rowsMax} rows: add a LIMIT or aggregate`);
  }
  const types = result.columnTypes().map(String);
  return { columns: result.deduplicatedColumnNames(), types, rows };
}
