import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { CommittedRow } from "../follow/committed-rows.ts";
import type { FollowedFiles, RowReader } from "../follow/row-reader.ts";
import type { LocalCopies, ObjectStore } from "../object-store.ts";
import { decodeRows, followedTable } from "./decode-rows.ts";
import { type Duckdb, openDuckdb, translateDuckdbError } from "./duckdb.ts";
import { countQuery, rowQuery } from "./row-query.ts";

const memoryLimitBytes = 256 * 1024 * 1024;

class ParquetRowReader implements RowReader {
  readonly #store: ObjectStore;
  readonly #duckdb: Duckdb;

  constructor(store: ObjectStore, duckdb: Duckdb) {
    this.#store = store;
    this.#duckdb = duckdb;
  }

  async *rows(files: FollowedFiles): AsyncGenerator<readonly CommittedRow[]> {
    const copies = await this.#store.localCopies(files.paths);
    try {
      yield* this.#sorted(files, copies);
    } catch (error) {
      throw translateDuckdbError(error, `reading rows from ${files.paths[0]}`);
    } finally {
      await copies.release();
    }
  }

  async count(files: FollowedFiles): Promise<number> {
    const copies = await this.#store.localCopies(files.paths);
    try {
      const result = await this.#duckdb.connection.runAndReadAll(countQuery(files, copies));
      return Number(result.getRows()[0]?.[0]);
    } catch (error) {
      throw translateDuckdbError(error, `counting rows in ${files.paths[0]}`);
    } finally {
      await copies.release();
    }
  }

  close(): Promise<void> {
    return this.#duckdb.close();
  }

  /** On a connection of its own: several tables are read at the same time. */
  async *#sorted(files: FollowedFiles, copies: LocalCopies): AsyncGenerator<readonly CommittedRow[]> {
    const connection = await this.#duckdb.connect();
    try {
      const result = await connection.stream(rowQuery(files, copies));
      const table = followedTable(files, result);
      for (;;) {
        const chunk = await result.fetchChunk();
        if (!chunk || chunk.rowCount === 0) return;
        yield* decodeRows(chunk, table);
      }
    } finally {
      connection.closeSync();
    }
  }
}

/** Reads rows with DuckDB, which sorts them in bounded memory and spills to the staging folder. */
export async function openRowReader(store: ObjectStore): Promise<RowReader> {
  const spillFolder = join(store.stagingFolder, `spill-${randomUUID()}`);
  return new ParquetRowReader(store, await openDuckdb({ memoryLimitBytes, spillFolder, threads: 1 }));
}
