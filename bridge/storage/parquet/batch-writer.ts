import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { TopicVersion } from "../../consumer/topic-catalog.ts";
import type { BatchWriter, ProbedRow } from "../batch-writer.ts";
import { BoundedWork } from "../bounded-work.ts";
import { type AddedFile, QUARANTINE, type TableAdds } from "../commit-log.ts";
import type { ObjectStore } from "../object-store.ts";
import type { ColumnValue, QuarantineFacts, Row } from "../row.ts";
import { type Duckdb, openDuckdb, quoteText, translateDuckdbError } from "./duckdb.ts";
import { FilePlan, type PlannedFile, rowGroupRows } from "./file-plan.ts";
import { columnFacts, deltaStatistics } from "./file-statistics.ts";
import { blockShape, quarantineShape, type StagedBlock, type StagedRow, topicShape } from "./staged-rows.ts";
import { fileColumns, type StagedSource, selectFile } from "./staged-select.ts";
import { StagingTable } from "./staging-table.ts";

const blockTable = "blocks";
/** Fixed columns of a row, uncompressed. */
const rowOverheadBytes = 48;
const blockOverheadBytes = 100;
const importsAtOnce = 4;

export interface ParquetBatchWriterOptions {
  readonly store: Pick<ObjectStore, "stagingFolder" | "importFile">;
  /** Memory of the database engine; at least three times the bytes of the largest batch. Default 384 MiB, for batches of 128 MB. */
  readonly memoryLimitBytes?: number;
  readonly threads?: number;
  /** zstd level: 1 is fast, 22 is small. */
  readonly compressionLevel?: number;
  readonly now?: () => number;
}

/** Rows staged for one table: one staging table per topic version. */
interface StagedTable {
  readonly name: string;
  version: number;
  readonly sources: (StagedSource & {
    readonly version: number;
    readonly staging: StagingTable<StagedRow>;
  })[];
  readonly files: FilePlan;
}

/** A file that the engine has written, on its way into the store. */
interface WrittenFile {
  readonly file: PlannedFile;
  readonly localFile: string;
  readonly stats: string;
}

class ParquetBatchWriter implements BatchWriter {
  readonly #store: ParquetBatchWriterOptions["store"];
  readonly #options: Required<Omit<ParquetBatchWriterOptions, "store">>;
  #duckdb: Duckdb | undefined;
  #blocks: StagingTable<StagedBlock> | undefined;
  #block: StagedBlock | undefined;
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

  async write(): Promise<ReadonlyMap<string, TableAdds>> {
    try {
      await this.#blocks?.finish();
      const written = await this.#writeTables();
      await this.discard();
      return written;
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
    this.#block = undefined;
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
    const newBlock = this.#isOfOpenBlock(row) ? undefined : this.#stageBlock(row);
    const blockNumber = this.#block?.number ?? 0;
    const full = staging.add({ row, blockNumber, fileNumber, values, facts }, bytes);
    if (newBlock || full) return Promise.all([newBlock, full]).then(() => undefined);
  }

  async #open(): Promise<void> {
    const spillFolder = join(this.#store.stagingFolder, `spill-${randomUUID()}`);
    this.#duckdb = await openDuckdb({ ...this.#options, spillFolder });
    this.#blocks = new StagingTable(this.#duckdb.connection, blockTable, blockShape);
  }

  #isOfOpenBlock(row: Row): boolean {
    const block = this.#block;
    return (
      block !== undefined &&
      block.position === row.position &&
      block.partition === row.partition &&
      block.streamId === row.streamId &&
      block.ingestTimeMs === row.ingestTimeMs &&
      block.streamTimeMs === row.streamTimeMs
    );
  }

  #stageBlock(row: Row): void | Promise<void> {
    const { streamId, partition, position, ingestTimeMs, streamTimeMs } = row;
    const number = (this.#block?.number ?? 0) + 1;
    this.#block = { number, streamId, partition, position, ingestTimeMs, streamTimeMs };
    return this.#blocks?.add(this.#block, blockOverheadBytes);
  }

  #tableOf(topic: TopicVersion | null): StagedTable {
    const key = topic?.topicId ?? QUARANTINE;
    let table = this.#tables.get(key);
    if (!table) {
      table = { name: topic?.name ?? QUARANTINE, version: 0, sources: [], files: new FilePlan() };
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

  /** While a file is on its way into the store the engine writes the next. */
  async #writeTables(): Promise<Map<string, TableAdds>> {
    const imports = new BoundedWork<readonly [key: string, add: AddedFile]>(importsAtOnce);
    try {
      for (const [key, table] of this.#tables) {
        for (const { staging } of table.sources) await staging.finish();
        for (const file of table.files.inOrder()) {
          const written = await this.#writeFile(key, table, file);
          if (await imports.add(async () => [key, await this.#import(table, written)])) continue;
          await rm(written.localFile, { force: true });
          break;
        }
      }
    } finally {
      await imports.settled();
    }
    const added = await imports.results();
    return new Map(
      [...this.#tables].map(([key, { name, version }]) => {
        const adds = added.flatMap(([of, add]) => (of === key ? [add] : []));
        return [key, { name, version, adds }];
      }),
    );
  }

  async #writeFile(key: string, table: StagedTable, file: PlannedFile): Promise<WrittenFile> {
    assert(this.#duckdb, "the database is open");
    const isQuarantine = key === QUARANTINE;
    const localFile = join(this.#store.stagingFolder, `${randomUUID()}.parquet`);
    try {
      const select = selectFile(table.sources, isQuarantine, blockTable, file.number);
      const result = await this.#duckdb.connection.run(
        `COPY (${select}) TO ${quoteText(localFile)} (FORMAT parquet, RETURN_STATS, ` +
          `ROW_GROUP_SIZE ${rowGroupRows(file)}, ` +
          `COMPRESSION zstd, COMPRESSION_LEVEL ${this.#options.compressionLevel})`,
      );
      const [copied] = await result.getRowObjects();
      assert.equal(Number(copied?.["count"]), file.rows, "a file has the rows that were staged for it");
      const columns = fileColumns(table.sources, isQuarantine);
      const stats = deltaStatistics(file.rows, columns, columnFacts(copied?.["column_statistics"] ?? null));
      return { file, localFile, stats };
    } catch (error) {
      await rm(localFile, { force: true });
      throw error;
    }
  }

  async #import(table: StagedTable, { file, localFile, stats }: WrittenFile): Promise<AddedFile> {
    const path = `${file.folder}/${randomUUID()}.parquet`;
    try {
      const { bytes } = await this.#store.importFile(localFile, `${table.name}/${path}`);
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

async function importNothing(localFile: string): Promise<{ bytes: number }> {
  await rm(localFile, { force: true });
  return { bytes: 0 };
}

function rowBytes(row: Row): number {
  const { payload, messageId, deviceId, topicName } = row;
  return rowOverheadBytes + payload.length + (messageId?.length ?? 0) + deviceId.length + topicName.length;
}

/** Parquet files by DuckDB: rows are staged in chunks and written sorted by event time, one file per table and event hour. */
export function createParquetBatchWriter(options: ParquetBatchWriterOptions): BatchWriter {
  return new ParquetBatchWriter(options);
}
