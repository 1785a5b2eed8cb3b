import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type DuckDBPreparedStatement, StatementType } from "@duckdb/node-api";
import { BridgeError } from "../../errors.ts";
import type { LocalCopies, ObjectStore } from "../object-store.ts";
import { readTableSnapshots, type TableSnapshot } from "../table-snapshots.ts";
import { type Duckdb, openDuckdb, quoteText } from "./duckdb.ts";
import { CopiedViews, type QueryProgress, showFiles } from "./query-views.ts";
import { type ResultValue, resultValue } from "./result-value.ts";

export interface QueryOptions {
  readonly store: ObjectStore;
  /** A result with more rows is refused rather than cut. */
  readonly rowsMax?: number;
  readonly memoryLimitBytes?: number;
  /** Told of files that have to be copied to this machine first. */
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
 * Answers one SELECT (or DESCRIBE, SHOW, EXPLAIN …) over the current snapshots of all tables of a lake, each a view of its name.
 * Nothing outside the lake's folder can be read, and nothing can be written.
 * Rejects with QUERY_REFUSED, QUERY_FAILED (the text says why), the errors of `readTableSnapshots`, and the faults of the tables that are
 * asked for: the others are read all the same.
 */
export async function runQuery(sql: string, options: QueryOptions): Promise<QueryResult> {
  const { store, rowsMax = 1_000_000, memoryLimitBytes = 1024 ** 3 } = options;
  let snapshots = await readTableSnapshots(store);
  const spillFolder = join(store.stagingFolder, `query-${randomUUID()}`);
  const duckdb = await openDuckdb({ memoryLimitBytes, spillFolder, threads: 2 });
  let copies: LocalCopies | undefined;
  try {
    if (store.copyMaxBytes === null) {
      copies = await store.localCopies([]);
      snapshots = await showFiles(duckdb, copies, snapshots);
    } else {
      // Where files are copied first, a name must not mean another time when it is read than when it was planned.
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
  if (sql.trim() === "") throw refused("there is no statement");
  const statements = await connection.extractStatements(sql);
  if (statements.count !== 1) throw refused(`one statement at a time, not ${statements.count}`);
  const statement = await statements.prepare(0);
  const { statementType } = statement;
  // EXPLAIN ANALYZE runs what it explains, which may be a COPY.
  const isExplain = statementType === StatementType.EXPLAIN && !/\banalyze\b/i.test(sql);
  if (statementType !== StatementType.SELECT && !isExplain)
    throw refused(
      "only SELECT (and DESCRIBE, SHOW, SUMMARIZE, EXPLAIN without ANALYZE): the tables are read-only here",
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
