import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { TableColumn } from "../../topics/table-columns.ts";
import type { AddedFile } from "../commit-log/commit-log.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { quoteText } from "./duckdb.ts";
import { type PlannedFile, rowGroupRows } from "./file-plan.ts";
import { columnFacts, deltaStatistics } from "./file-statistics.ts";

export interface TableFileOptions {
  readonly store: Pick<ObjectStore, "stagingFolder" | "importFile">;
  /** zstd level: 1 is fast, 22 is small. */
  readonly compressionLevel: number;
  readonly now: () => number;
}

/** What a file holds: as many rows as planned. */
export interface FileContent {
  readonly file: PlannedFile;
  /** SELECT of the rows in their order. */
  readonly select: string;
  /** The columns of the SELECT. */
  readonly columns: readonly TableColumn[];
}

/** A file that the engine has written and the store has not imported yet. */
export interface WrittenFile {
  readonly file: PlannedFile;
  readonly localFile: string;
  readonly stats: string;
}

/** Writes one file of a table by DuckDB, and hands it to the store. */
export class TableFileWriter {
  readonly #options: TableFileOptions;

  constructor(options: TableFileOptions) {
    this.#options = options;
  }

  /** Rejects with errors of DuckDB; then no file is left. */
  async write(connection: DuckDBConnection, { file, select, columns }: FileContent): Promise<WrittenFile> {
    const { store, compressionLevel } = this.#options;
    const localFile = join(store.stagingFolder, `${randomUUID()}.parquet`);
    try {
      const result = await connection.run(
        `COPY (${select}) TO ${quoteText(localFile)} (FORMAT parquet, RETURN_STATS, ` +
          `ROW_GROUP_SIZE ${rowGroupRows(file)}, COMPRESSION zstd, COMPRESSION_LEVEL ${compressionLevel})`,
      );
      const [copied] = await result.getRowObjects();
      assert.equal(Number(copied?.["count"]), file.rows, "a file has the rows that were planned for it");
      const stats = deltaStatistics(file.rows, columns, columnFacts(copied?.["column_statistics"] ?? null));
      return { file, localFile, stats };
    } catch (error) {
      await rm(localFile, { force: true });
      throw error;
    }
  }

  /** The file gets a unique name in the table's folder. Rejects with the store's error; no local file is left. */
  async import(table: string, { file, localFile, stats }: WrittenFile): Promise<AddedFile> {
    const path = `${file.folder}/${randomUUID()}.parquet`;
    try {
      const { bytes } = await this.#options.store.importFile(localFile, `${table}/${path}`);
      const { eventDate, eventHour, rows, ingest, stream } = file;
      return {
        path,
        eventDate,
        eventHour,
        bytes,
        rows,
        modifiedAtMs: this.#options.now(),
        minIngestMs: ingest.minMs,
        maxIngestMs: ingest.maxMs,
        minStreamMs: stream.minMs,
        maxStreamMs: stream.maxMs,
        stats,
      };
    } catch (error) {
      await rm(localFile, { force: true });
      throw error;
    }
  }
}
