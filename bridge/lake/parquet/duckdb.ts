import { mkdir, rm } from "node:fs/promises";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { BridgeError } from "../../errors.ts";

export interface DuckdbOptions {
  /** Above this, DuckDB spills to `spillFolder`. */
  readonly memoryLimitBytes: number;
  /** Created if it is missing; `close` removes it. */
  readonly spillFolder: string;
  readonly threads: number;
}

export interface Duckdb {
  readonly connection: DuckDBConnection;
  /** One more connection, for results that are read at the same time; the caller closes it. */
  connect(): Promise<DuckDBConnection>;
  close(): Promise<void>;
}

/**
 * Opens a database in memory, which never loads or downloads an extension. Rejects with STORE_FULL or
 * PARQUET_FAILED (both retryable) if the spill folder cannot be created.
 */
export async function openDuckdb(options: DuckdbOptions): Promise<Duckdb> {
  try {
    await mkdir(options.spillFolder, { recursive: true });
  } catch (error) {
    throw translateDuckdbError(error, `the folder ${options.spillFolder} can't be created`);
  }
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(options.threads),
    memory_limit: `${options.memoryLimitBytes}B`,
    temp_directory: options.spillFolder,
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  const connect = async () => {
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    return connection;
  };
  const connection = await connect();
  return {
    connection,
    connect,
    close: async () => {
      connection.closeSync();
      instance.closeSync();
      await rm(options.spillFolder, { recursive: true, force: true });
    },
  };
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * DuckDB's errors have no code, so this function reads their text; no other may. STORE_FULL if the disk is
 * full, otherwise PARQUET_FAILED. Both are retryable, because the rows are still staged or in the stream.
 */
export function translateDuckdbError(cause: unknown, doing: string): BridgeError {
  if (cause instanceof BridgeError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  const isFull = /no space left|disk quota|ENOSPC|EDQUOT/i.test(text);
  return new BridgeError(isFull ? "STORE_FULL" : "PARQUET_FAILED", `${doing}: ${text}`, {
    retryable: true,
    cause,
  });
}
