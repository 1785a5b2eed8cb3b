import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { QuarantineFacts, Row } from "../../tail/row.ts";
import type { ColumnValue } from "../../topics/column-value.ts";
import type { TopicVersion } from "../../topics/topic-catalog.ts";
import { quarantineKey } from "../commit-log/commit-log.ts";
import { landingFolder, type WrittenLanding } from "../commit-log/landed-file.ts";
import { valuesText } from "../landing/values-text.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { type Duckdb, openDuckdb, quoteText, translateDuckdbError } from "./duckdb.ts";
import { rowGroupRows } from "./file-plan.ts";
import { groupShape, LandingGroups, type RowTopic } from "./landing-groups.ts";
import { landingShape, type StagedLanding, selectLanding } from "./landing-shape.ts";
import { rowBytes } from "./row-bytes.ts";
import { StagedBlocks } from "./staged-blocks.ts";
import { StagingTable } from "./staging-table.ts";

/**
 * Smaller than DuckDB's default: a reader that wants one table of many reads less. A file of 200 tables grows
 * by 6 %.
 */
const groupRowsMax = 40_960;

export interface LandingWriterOptions {
  readonly store: Pick<ObjectStore, "stagingFolder" | "importFile">;
  /** Memory of the database engine; at least three times the bytes of the largest batch. Default 384 MiB. */
  readonly memoryLimitBytes?: number;
  readonly threads?: number;
  /** zstd level: 1 is fast, 22 is small. */
  readonly compressionLevel?: number;
}

interface OpenBatch {
  readonly duckdb: Duckdb;
  readonly blocks: StagedBlocks;
  readonly staging: StagingTable<StagedLanding>;
  readonly groups: LandingGroups;
}

/**
 * Writes one batch of rows, of any number of topics, as one landing file. Its cost depends on the rows alone.
 * One caller uses it at a time. Memory is bounded: rows go in chunks to the database engine, which may spill
 * to disk.
 */
export class LandingWriter {
  readonly #options: Required<LandingWriterOptions>;
  #open: OpenBatch | undefined;
  #bytes = 0;
  #rows = 0;
  #minStreamMs = Number.POSITIVE_INFINITY;
  #maxStreamMs = Number.NEGATIVE_INFINITY;

  constructor(options: LandingWriterOptions) {
    this.#options = { memoryLimitBytes: 384 * 1024 * 1024, threads: 1, compressionLevel: 1, ...options };
  }

  /** Estimated uncompressed bytes since the last write or discard. */
  get bytes(): number {
    return this.#bytes;
  }

  get rows(): number {
    return this.#rows;
  }

  /**
   * `columnValues` are the typed columns in the order of `topic.columns`. The row's bytes must not change
   * until `write` or `discard`.
   */
  add(topic: TopicVersion, row: Row, columnValues: readonly ColumnValue[]): void | Promise<void> {
    const { topicId, name, version } = topic;
    const values = valuesText(columnValues);
    return this.#stage({ topicId, name, version, isQuarantined: false }, row, { values, facts: null });
  }

  quarantine(row: Row, facts: QuarantineFacts): void | Promise<void> {
    const { topicId, topicVersion: version } = facts;
    const topic = { topicId, name: quarantineKey, version, isQuarantined: true };
    return this.#stage(topic, row, { values: null, facts });
  }

  /**
   * Writes the batch as one durable file under a unique name, and empties the batch. Resolves with null if it
   * was empty. Rejects with STORE_FULL or PARQUET_FAILED (both retryable), or with the store's error.
   */
  async write(): Promise<WrittenLanding | null> {
    if (!this.#open) return null;
    try {
      const localFile = await this.#copy(this.#open);
      const path = `${landingFolder}/${randomUUID()}.parquet`;
      const { bytes } = await this.#import(localFile, path);
      const size = this.#bytes;
      const [minStreamMs, maxStreamMs] = [this.#minStreamMs, this.#maxStreamMs];
      const tables = this.#open.groups.tables();
      await this.discard();
      return { file: { path, bytes, size, minStreamMs, maxStreamMs }, tables };
    } catch (error) {
      throw translateDuckdbError(error, "writing a landing file");
    }
  }

  /** Forgets the rows. A file that is written already becomes an orphan for vacuum. */
  async discard(): Promise<void> {
    const duckdb = this.#open?.duckdb;
    this.#open = undefined;
    this.#bytes = 0;
    this.#rows = 0;
    this.#minStreamMs = Number.POSITIVE_INFINITY;
    this.#maxStreamMs = Number.NEGATIVE_INFINITY;
    await duckdb?.close();
  }

  #stage(
    topic: RowTopic,
    row: Row,
    { values, facts }: Pick<StagedLanding, "values" | "facts">,
  ): void | Promise<void> {
    const open = this.#open;
    if (open === undefined) return this.#begin().then(() => this.#stage(topic, row, { values, facts }));
    assert(Number.isSafeInteger(row.eventTimeMs), "event times are whole milliseconds and microseconds");
    const bytes = rowBytes(row) + (values?.length ?? 0);
    this.#count(row, bytes);
    const group = open.groups.place(topic, row);
    const newBlock = open.blocks.add(row);
    const full = open.staging.add({ row, blockNumber: open.blocks.number, group, values, facts }, bytes);
    if (newBlock || full) return Promise.all([newBlock, full]).then(() => undefined);
  }

  #count({ streamTimeMs }: Row, bytes: number): void {
    this.#rows += 1;
    this.#bytes += bytes;
    this.#minStreamMs = Math.min(this.#minStreamMs, streamTimeMs);
    this.#maxStreamMs = Math.max(this.#maxStreamMs, streamTimeMs);
  }

  async #begin(): Promise<void> {
    const spillFolder = join(this.#options.store.stagingFolder, `spill-${randomUUID()}`);
    const duckdb = await openDuckdb({ ...this.#options, spillFolder });
    const blocks = new StagedBlocks(duckdb.connection);
    const staging = new StagingTable(duckdb.connection, "rows", landingShape);
    this.#open = { duckdb, blocks, staging, groups: new LandingGroups() };
  }

  async #copy({ duckdb, blocks, staging, groups }: OpenBatch): Promise<string> {
    await blocks.finish();
    await staging.finish();
    const from = { rows: staging.name, blocks: blocks.name, groups: await stageGroups(duckdb, groups) };
    const localFile = join(this.#options.store.stagingFolder, `${randomUUID()}.parquet`);
    const groupRows = Math.min(groupRowsMax, rowGroupRows({ rows: this.#rows, bytes: this.#bytes }));
    try {
      const result = await duckdb.connection.run(
        `COPY (${selectLanding(from)}) TO ${quoteText(localFile)} ` +
          `(FORMAT parquet, RETURN_STATS, ROW_GROUP_SIZE ${groupRows}, KV_METADATA {"tidegate.format": '1'}, ` +
          `COMPRESSION zstd, COMPRESSION_LEVEL ${this.#options.compressionLevel})`,
      );
      const [copied] = await result.getRowObjects();
      assert.equal(Number(copied?.["count"]), this.#rows, "the file has the rows that were staged for it");
      return localFile;
    } catch (error) {
      await rm(localFile, { force: true });
      throw error;
    }
  }

  async #import(localFile: string, path: string): Promise<{ bytes: number }> {
    try {
      return await this.#options.store.importFile(localFile, path);
    } catch (error) {
      await rm(localFile, { force: true });
      throw error;
    }
  }
}

/** Returns the name of the staging table. */
async function stageGroups({ connection }: Duckdb, groups: LandingGroups): Promise<string> {
  const staging = new StagingTable(connection, "groups", groupShape);
  for (const group of groups.ranked()) {
    const full = staging.add(group, 100);
    if (full) await full;
  }
  await staging.finish();
  return staging.name;
}
