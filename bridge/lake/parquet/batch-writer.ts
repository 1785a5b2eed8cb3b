import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { QuarantineFacts, Row } from "../../tail/row.ts";
import type { ColumnValue } from "../../topics/column-value.ts";
import type { TopicVersion } from "../../topics/topic-catalog.ts";
import type { BatchWriter, ProbedRow, WrittenBatch } from "../batch-writer.ts";
import { quarantineKey } from "../commit-log/commit-log.ts";
import { valuesText } from "../landing/values-text.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { BatchFiles } from "./batch-files.ts";
import { BatchGroups, groupShape, type RowTopic, type StagedGroup } from "./batch-groups.ts";
import { type Duckdb, openDuckdb, quoteName, translateDuckdbError } from "./duckdb.ts";
import { factsShape, landingShape, type StagedFacts, type StagedLanding } from "./landing-shape.ts";
import { rowBytes } from "./row-bytes.ts";
import { StagedBlocks } from "./staged-blocks.ts";
import { StagingTable } from "./staging-table.ts";

const mebibyte = 1024 * 1024;

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
  /**
   * Rows of a table and event hour with as many uncompressed bytes become a file of the table at once; the
   * others land. Default 64 MiB; 0 = nothing lands.
   */
  readonly directBytes?: number;
  readonly now?: () => number;
}

interface OpenBatch {
  readonly duckdb: Duckdb;
  readonly blocks: StagedBlocks;
  readonly staging: StagingTable<StagedLanding>;
  readonly facts: StagingTable<StagedFacts>;
  readonly groups: BatchGroups;
}

class ParquetBatchWriter implements BatchWriter {
  readonly #options: Required<ParquetBatchWriterOptions>;
  #open: OpenBatch | undefined;
  #bytes = 0;
  #rows = 0;

  constructor(options: ParquetBatchWriterOptions) {
    this.#options = {
      memoryLimitBytes: 384 * mebibyte,
      threads: 1,
      compressionLevel: 1,
      directBytes: 64 * mebibyte,
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

  add(topic: TopicVersion, row: Row, columnValues: readonly ColumnValue[]): void | Promise<void> {
    const { topicId, name, version, columns } = topic;
    const values = valuesText(columnValues);
    const of = { topicId, name, version, columns, isQuarantined: false };
    return this.#stage(of, row, values, null);
  }

  quarantine(row: Row, facts: QuarantineFacts): void | Promise<void> {
    const { topicId, topicVersion: version } = facts;
    const of = { topicId, name: quarantineKey, version, columns: [], isQuarantined: true };
    return this.#stage(of, row, null, facts);
  }

  async write(): Promise<WrittenBatch> {
    if (!this.#open) return { tables: {} };
    try {
      const written = await this.#write(this.#open);
      await this.discard();
      return written;
    } catch (error) {
      throw translateDuckdbError(error, "writing Parquet files");
    }
  }

  async probe(rows: readonly ProbedRow[]): Promise<void> {
    const store = { stagingFolder: this.#options.store.stagingFolder, importFile: importNothing };
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
    const duckdb = this.#open?.duckdb;
    this.#open = undefined;
    this.#bytes = 0;
    this.#rows = 0;
    await duckdb?.close();
  }

  #stage(
    topic: RowTopic,
    row: Row,
    values: string | null,
    facts: QuarantineFacts | null,
  ): void | Promise<void> {
    const open = this.#open;
    if (open === undefined) return this.#begin().then(() => this.#stage(topic, row, values, facts));
    assert(Number.isSafeInteger(row.eventTimeMs), "event times are whole milliseconds and microseconds");
    const bytes = rowBytes(row) + (values?.length ?? 0);
    this.#rows += 1;
    this.#bytes += bytes;
    const group = open.groups.place(topic, row, bytes);
    const newBlock = open.blocks.add(row);
    const blockNumber = open.blocks.number;
    const full = open.staging.add({ row, blockNumber, group, values }, bytes);
    const told = facts
      ? open.facts.add({ ...facts, group, blockNumber, index: row.index }, factBytes(facts))
      : null;
    if (newBlock || full || told) return Promise.all([newBlock, full, told]).then(() => undefined);
  }

  async #begin(): Promise<void> {
    const spillFolder = join(this.#options.store.stagingFolder, `spill-${randomUUID()}`);
    const duckdb = await openDuckdb({ ...this.#options, spillFolder });
    const blocks = new StagedBlocks(duckdb.connection);
    const staging = new StagingTable(duckdb.connection, "rows", landingShape);
    const facts = new StagingTable(duckdb.connection, "facts", factsShape);
    this.#open = { duckdb, blocks, staging, facts, groups: new BatchGroups() };
  }

  async #write({ duckdb, blocks, staging, facts, groups }: OpenBatch): Promise<WrittenBatch> {
    await blocks.finish();
    await staging.finish();
    await facts.finish();
    const plan = groups.plan(this.#options.directBytes);
    const from = {
      rows: staging.name,
      blocks: blocks.name,
      facts: facts.name,
      groups: await stageGroups(duckdb, plan.groups),
    };
    const files = new BatchFiles(duckdb.connection, from, this.#options);
    const tables = await files.writeDirect(plan.direct);
    if (plan.landed.rows === 0) return { tables };
    return { tables, landing: await files.writeLanding(plan.landed) };
  }
}

/** Returns the name of the staging table. */
async function stageGroups({ connection }: Duckdb, groups: readonly StagedGroup[]): Promise<string> {
  const staging = new StagingTable(connection, "groups", groupShape);
  // An earlier try may have failed after this.
  await connection.run(`DROP TABLE IF EXISTS ${quoteName(staging.name)}`);
  for (const group of groups) {
    const full = staging.add(group, 100);
    if (full) await full;
  }
  await staging.finish();
  return staging.name;
}

function factBytes({ reason, detail }: QuarantineFacts): number {
  return reason.length + detail.length;
}

async function importNothing(localFile: string): Promise<{ bytes: number }> {
  await rm(localFile, { force: true });
  return { bytes: 0 };
}

/**
 * Creates the writer of Parquet files by DuckDB. Rows of all topics are staged in one table, so that the cost
 * depends on the rows alone. What is small lands in one file; what is large becomes a file per table and event
 * hour. Rows are sorted by event time.
 */
export function createParquetBatchWriter(options: ParquetBatchWriterOptions): BatchWriter {
  return new ParquetBatchWriter(options);
}
