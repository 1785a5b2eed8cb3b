import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type DuckDBPreparedStatement, StatementType } from "@duckdb/node-api";
import { BridgeError } from "../../errors.ts";
import type { ObjectStore } from "../object-store.ts";
import { readTableSnapshots } from "../table-snapshots.ts";
import { type Duckdb, openDuckdb, quoteText } from "./duckdb.ts";
import { type ResultValue, resultValue } from "./result-value.ts";
import { createViewSql } from "./table-view.ts";

export interface QueryOptions {
  readonly store: ObjectStore;
  /** A result with more rows is refused rather than cut. */
  readonly rowsMax?: number;
  readonly memoryLimitBytes?: number;
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
 * Rejects with QUERY_REFUSED, QUERY_FAILED (the text says why), and the errors of `readTableSnapshots`.
 */
export async function runQuery(sql: string, options: QueryOptions): Promise<QueryResult> {
  const { store, rowsMax = 1_000_000, memoryLimitBytes = 1024 ** 3 } = options;
  const snapshots = await readTableSnapshots(store);
  const spillFolder = join(store.stagingFolder, `query-${randomUUID()}`);
  const duckdb = await openDuckdb({ memoryLimitBytes, spillFolder, threads: 2 });
  try {
    for (const snapshot of snapshots) await duckdb.connection.run(createViewSql(store, snapshot));
    await confine(duckdb, store);
    return await answer(await prepareSelect(duckdb, sql), rowsMax);
  } catch (error) {
    if (error instanceof BridgeError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new BridgeError("QUERY_FAILED", message, { retryable: false, cause: error });
  } finally {
    await duckdb.close();
  }
}

async function confine({ connection }: Duckdb, store: ObjectStore): Promise<void> {
  const marker = "lake";
  const root = store.readableLocation(marker).slice(0, -marker.length);
  await connection.run(`SET allowed_directories = [${quoteText(root)}]`);
  await connection.run("SET enable_external_access = false");
  await connection.run("SET lock_configuration = true");
}

async function prepareSelect({ connection }: Duckdb, sql: string): Promise<DuckDBPreparedStatement> {
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
  return statement;
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
