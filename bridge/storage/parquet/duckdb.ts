import { mkdir, rm } from "node:fs/promises";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { BridgeError } from "../../errors.ts";

export interface DuckdbOptions {
  /** Beyond this DuckDB spills to `spillFolder`. */
  readonly memoryLimitBytes: number;
  /** Made when it is missing; removed by `close`. */
  readonly spillFolder: string;
  readonly threads: number;
}

export interface Duckdb {
  readonly connection: DuckDBConnection;
  /** Another one, for results that are read at the same time; the caller closes it. */
  connect(): Promise<DuckDBConnection>;
  close(): Promise<void>;
}

/**
 * Opens a database in memory. It never loads or downloads an extension.
 * @throws BridgeError STORE_FULL, PARQUET_FAILED (retryable) where the spill folder can't be made.
 */
export async function openDuckdb(options: DuckdbOptions): Promise<Duckdb> {
  try {
    await mkdir(options.spillFolder, { recursive: true });
  } catch (error) {
    throw translateDuckdbError(error, `the folder ${options.spillFolder} can't be made`);
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
 * DuckDB's errors have no code, only a text: this is the one place that reads it. STORE_FULL where the disk has no room, else
 * PARQUET_FAILED; both retryable, because the rows are still staged or in the stream.
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
