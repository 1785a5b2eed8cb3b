import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { QuarantineFacts, Row } from "../../tail/row.ts";
import type { ColumnValue } from "../../topics/column-value.ts";
import type { TopicVersion } from "../../topics/topic-catalog.ts";
import type { BatchWriter, ProbedRow, WrittenBatch } from "../batch-writer.ts";
import { type AddedFile, quarantineKey, type TableAdds } from "../commit-log/commit-log.ts";
import { BoundedWork } from "../stores/bounded-work.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { type Duckdb, openDuckdb, translateDuckdbError } from "./duckdb.ts";
import { FilePlan, type PlannedFile } from "./file-plan.ts";
import { rowBytes } from "./row-bytes.ts";
import { StagedBlocks } from "./staged-blocks.ts";
import { quarantineShape, type StagedRow, topicShape } from "./staged-rows.ts";
import { fileColumns, type StagedSource, selectFile } from "./staged-select.ts";
import { StagingTable } from "./staging-table.ts";
import { TableFileWriter, type WrittenFile } from "./table-file-writer.ts";

const importsAtOnce = 4;

export interface ParquetBatchWriterOptions {
  readonly store: Pick<ObjectStore, "stagingFolder" | "importFile">;
  /**
   * Memory of the database engine; at least three times the bytes of the largest batch. Default 384 MiB, for
   * batches of 128 MB.
   */
  readonly memoryLimitBytes?: number;
  readonly threads?: number;
  /** zstd level: 1 is fast, 22 is small. */
  readonly compressionLevel?: number;
  readonly now?: () => number;
}

/** Rows staged for one table, in one staging table per topic version. */
interface StagedTable {
  readonly name: string;
  version: number;
  readonly sources: (StagedSource & {
    readonly version: number;
    readonly staging: StagingTable<StagedRow>;
  })[];
  readonly files: FilePlan;
}

class ParquetBatchWriter implements BatchWriter {
  readonly #store: ParquetBatchWriterOptions["store"];
  readonly #options: Required<Omit<ParquetBatchWriterOptions, "store">>;
  readonly #files: TableFileWriter;
  #duckdb: Duckdb | undefined;
  #blocks: StagedBlocks | undefined;
  #tables = new Map<string, StagedTable>();
  #stagingCount = 0;
  #bytes = 0;
  #rows = 0;

  constructor({ store, ...options }: ParquetBatchWriterOptions) {
    this.#store = store;
    this.#options = {
      memoryLimitBytes: 384 * 1024 * 1024,
      threads: 1,
      compressionLevel: 1,
      now: Date.now,
      ...options,
    };
    this.#files = new TableFileWriter({ store, ...this.#options });
  }

  get bytes(): number {
    return this.#bytes;
  }

  get rows(): number {
    return this.#rows;
  }

  add(topic: TopicVersion, row: Row, values: readonly ColumnValue[]): void | Promise<void> {
    return this.#stage(topic, row, values, null);
  }

  quarantine(row: Row, facts: QuarantineFacts): void | Promise<void> {
    return this.#stage(null, row, [], facts);
  }

  async write(): Promise<WrittenBatch> {
    try {
      await this.#blocks?.finish();
      const tables = await this.#writeTables();
      await this.discard();
      return { tables };
    } catch (error) {
      throw translateDuckdbError(error, "writing Parquet files");
    }
  }

  async probe(rows: readonly ProbedRow[]): Promise<void> {
    const store = { stagingFolder: this.#store.stagingFolder, importFile: importNothing };
    const scratch = new ParquetBatchWriter({ ...this.#options, store });
    try {
      for (const { topic, row, values } of rows) {
        const added = scratch.add(topic, row, values);
        if (added) await added;
      }
      await scratch.write();
    } finally {
      await scratch.discard();
    }
  }

  async discard(): Promise<void> {
    const duckdb = this.#duckdb;
    this.#duckdb = undefined;
    this.#blocks = undefined;
    this.#tables = new Map();
    this.#bytes = 0;
    this.#rows = 0;
    await duckdb?.close();
  }

  #stage(
    topic: TopicVersion | null,
    row: Row,
    values: readonly ColumnValue[],
    facts: QuarantineFacts | null,
  ): void | Promise<void> {
    if (this.#duckdb === undefined) return this.#open().then(() => this.#stage(topic, row, values, facts));
    assert(Number.isSafeInteger(row.eventTimeMs), "event times are whole milliseconds and microseconds");
    const table = this.#tableOf(topic);
    const staging = this.#stagingOf(table, topic);
    const bytes = rowBytes(row);
    const fileNumber = table.files.place(row, bytes);
    this.#rows++;
    this.#bytes += bytes;
    const newBlock = this.#blocks?.add(row);
    const blockNumber = this.#blocks?.number ?? 0;
    const full = staging.add({ row, blockNumber, fileNumber, values, facts }, bytes);
    if (newBlock || full) return Promise.all([newBlock, full]).then(() => undefined);
  }

  async #open(): Promise<void> {
    const spillFolder = join(this.#store.stagingFolder, `spill-${randomUUID()}`);
    this.#duckdb = await openDuckdb({ ...this.#options, spillFolder });
    this.#blocks = new StagedBlocks(this.#duckdb.connection);
  }

  #tableOf(topic: TopicVersion | null): StagedTable {
    const key = topic?.topicId ?? quarantineKey;
    let table = this.#tables.get(key);
    if (!table) {
      table = { name: topic?.name ?? quarantineKey, version: 0, sources: [], files: new FilePlan() };
      this.#tables.set(key, table);
    }
    return table;
  }

  #stagingOf(table: StagedTable, topic: TopicVersion | null): StagingTable<StagedRow> {
    const version = topic?.version ?? 0;
    const known = table.sources.find((source) => source.version === version);
    if (known) return known.staging;
    assert(this.#duckdb, "the database is open");
    const stagingName = `rows_${this.#stagingCount++}`;
    const shape = topic ? topicShape(topic) : quarantineShape;
    const staging = new StagingTable(this.#duckdb.connection, stagingName, shape);
    table.sources.push({ stagingName, columns: topic?.columns ?? [], version, staging });
    table.sources.sort((left, right) => right.version - left.version);
    table.version = Math.max(table.version, version);
    return staging;
  }

  /** The engine writes the next file while the store imports the last ones. */
  async #writeTables(): Promise<Record<string, TableAdds>> {
    const imports = new BoundedWork<readonly [key: string, add: AddedFile]>(importsAtOnce);
    try {
      for (const [key, table] of this.#tables) {
        for (const { staging } of table.sources) await staging.finish();
        for (const file of table.files.inOrder()) {
          const written = await this.#writeFile(key, table, file);
          if (await imports.add(async () => [key, await this.#files.import(table.name, written)])) continue;
          await rm(written.localFile, { force: true });
          break;
        }
      }
    } finally {
      await imports.settled();
    }
    const added = await imports.results();
    return Object.fromEntries(
      [...this.#tables].map(([key, { name, version }]) => {
        const adds = added.flatMap(([of, add]) => (of === key ? [add] : []));
        return [key, { name, version, adds }];
      }),
    );
  }

  async #writeFile(key: string, table: StagedTable, file: PlannedFile): Promise<WrittenFile> {
    assert(this.#duckdb && this.#blocks, "the database is open");
    const isQuarantine = key === quarantineKey;
    return await this.#files.write(this.#duckdb.connection, {
      file,
      select: selectFile(table.sources, isQuarantine, this.#blocks.name, file.number),
      columns: fileColumns(table.sources, isQuarantine),
    });
  }
}

async function importNothing(localFile: string): Promise<{ bytes: number }> {
  await rm(localFile, { force: true });
  return { bytes: 0 };
}

/**
 * Creates the writer of Parquet files by DuckDB. Rows are staged in chunks, and written sorted by event time
 * into one file per table and event hour.
 */
export function createParquetBatchWriter(options: ParquetBatchWriterOptions): BatchWriter {
  return new ParquetBatchWriter(options);
}
