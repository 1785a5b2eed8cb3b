import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { AddedFile } from "../commit-log/commit-log.ts";
import type { LandedSource, RowFiles, RowRound, TableRows } from "../landing/row-files.ts";
import { BoundedWork } from "../stores/bounded-work.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { type Duckdb, openDuckdb, translateDuckdbError } from "./duckdb.ts";
import { type PlannedFile, planFile } from "./file-plan.ts";
import { landedColumns, measureLanded, selectLanded, stageLanded } from "./landed-rows.ts";
import { type TableFileOptions, TableFileWriter } from "./table-file-writer.ts";

const importsAtOnce = 4;
const mebibyte = 1024 * 1024;

export interface ParquetRowFilesOptions extends Pick<TableFileOptions, "now"> {
  readonly store: Pick<ObjectStore, "stagingFolder" | "importFile" | "localCopies">;
  /** Memory of the database engine: above it, rows spill to disk. Default 192 MiB. */
  readonly memoryLimitBytes?: number;
  readonly threads?: number;
  readonly compressionLevel?: number;
  /** Uncompressed bytes of a file. An hour with more becomes several files. Default 128 MiB. */
  readonly targetBytes?: number;
}

/** A file to write: an hour of a table, or a part of it. */
interface PlannedPart {
  readonly hour: number;
  readonly part: number;
  readonly parts: number;
  readonly file: PlannedFile;
}

interface Measured {
  readonly hour: number;
  readonly part: number;
  readonly rows: number;
  readonly bytes: number;
  readonly ingest: PlannedFile["ingest"];
  readonly stream: PlannedFile["stream"];
}

class ParquetRowRound implements RowRound {
  readonly #duckdb: Duckdb;
  readonly #files: TableFileWriter;
  readonly #targetBytes: number;

  constructor(duckdb: Duckdb, files: TableFileWriter, targetBytes: number) {
    this.#duckdb = duckdb;
    this.#files = files;
    this.#targetBytes = targetBytes;
  }

  async write(rows: TableRows): Promise<readonly AddedFile[]> {
    try {
      return await this.#writeParts(rows, await this.#plan(rows));
    } catch (error) {
      throw translateDuckdbError(error, `writing the landed rows of ${rows.name}`);
    }
  }

  close(): Promise<void> {
    return this.#duckdb.close();
  }

  async #plan(rows: TableRows): Promise<PlannedPart[]> {
    const hours = await this.#measure(rows, new Map());
    const partsOf = new Map(
      hours.map(({ hour, bytes }) => [hour, Math.ceil(bytes / this.#targetBytes) || 1]),
    );
    const isWhole = hours.every(({ hour }) => partsOf.get(hour) === 1);
    const measured = isWhole ? hours : await this.#measure(rows, partsOf);
    return measured.map(({ hour, part, ...facts }, number) => ({
      hour,
      part,
      parts: partsOf.get(hour) ?? 1,
      file: { ...planFile(number, hour), ...facts },
    }));
  }

  async #measure(rows: TableRows, partsOf: ReadonlyMap<number, number>): Promise<Measured[]> {
    const result = await this.#duckdb.connection.run(measureLanded(rows, partsOf));
    return (await result.getRowObjects()).map((row) => ({
      hour: Number(row["_hour"]),
      part: Number(row["part"]),
      rows: Number(row["rows"]),
      bytes: Number(row["bytes"]),
      ingest: { minMs: Number(row["min_ingest"]), maxMs: Number(row["max_ingest"]) },
      stream: { minMs: Number(row["min_stream"]), maxMs: Number(row["max_stream"]) },
    }));
  }

  /** The engine writes the next file while the store imports the last ones. */
  async #writeParts(rows: TableRows, parts: readonly PlannedPart[]): Promise<readonly AddedFile[]> {
    const imports = new BoundedWork<AddedFile>(importsAtOnce);
    const columns = landedColumns(rows);
    try {
      for (const { file, ...part } of parts) {
        const select = selectLanded(rows, part);
        const written = await this.#files.write(this.#duckdb.connection, { file, select, columns });
        if (await imports.add(() => this.#files.import(rows.name, written))) continue;
        await rm(written.localFile, { force: true });
        break;
      }
    } finally {
      await imports.settled();
    }
    return await imports.results();
  }
}

/** Makes files of tables from landing files by DuckDB. */
export function createParquetRowFiles(options: ParquetRowFilesOptions): RowFiles {
  const { store, now, memoryLimitBytes = 192 * mebibyte, threads = 1, compressionLevel = 1 } = options;
  const files = new TableFileWriter({ store, now, compressionLevel });
  return {
    async open(sources: readonly LandedSource[]): Promise<RowRound> {
      const copies = await store.localCopies(sources.map(({ path }) => path));
      try {
        const spillFolder = join(store.stagingFolder, `spill-${randomUUID()}`);
        const duckdb = await openDuckdb({ memoryLimitBytes, threads, spillFolder });
        await stage(duckdb, stageLanded(sources, copies.location));
        return new ParquetRowRound(duckdb, files, options.targetBytes ?? 128 * mebibyte);
      } finally {
        await copies.release();
      }
    },
  };
}

async function stage(duckdb: Duckdb, sql: string): Promise<void> {
  try {
    await duckdb.connection.run(sql);
  } catch (error) {
    await duckdb.close();
    throw translateDuckdbError(error, "reading landing files");
  }
}
