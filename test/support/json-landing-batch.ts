import type { BatchWriter, ProbedRow, WrittenBatch } from "../../bridge/lake/batch-writer.ts";
import { quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import { hourOf } from "../../bridge/lake/landing/lane.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import type { QuarantineFacts, Row } from "../../bridge/tail/row.ts";
import type { ColumnValue } from "../../bridge/topics/column-value.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { JsonBatchWriter } from "./json-lake.ts";
import { JsonLandingWriter } from "./json-landing.ts";

interface HeldRow {
  readonly group: string;
  readonly fileIn: (writer: Pick<BatchWriter, "add" | "quarantine">) => void | Promise<void>;
}

/** Keeps the batch's rows as one JSON landing file, and large groups of rows as JSON files of their tables. */
export class JsonLandingBatchWriter implements BatchWriter {
  readonly #direct: JsonBatchWriter;
  readonly #landing: JsonLandingWriter;
  readonly #directRows: () => number;
  #held: HeldRow[] = [];
  readonly #sizes = new Map<string, number>();

  /** @param options `directRows`: rows of one table and event hour that are enough for a table file. */
  constructor(store: ObjectStore, nextFile: () => string, options: { directRows?: () => number } = {}) {
    this.#direct = new JsonBatchWriter(store, nextFile);
    this.#landing = new JsonLandingWriter(store, nextFile);
    this.#directRows = options.directRows ?? (() => Number.POSITIVE_INFINITY);
  }

  get rows(): number {
    return this.#held.length;
  }

  get bytes(): number {
    return this.#held.length * 100;
  }

  add(topic: TopicVersion, row: Row, values: readonly ColumnValue[]): void {
    this.#hold(topic.topicId, row, (writer) => writer.add(topic, row, values));
  }

  quarantine(row: Row, facts: QuarantineFacts): void {
    this.#hold(quarantineKey, row, (writer) => writer.quarantine(row, facts));
  }

  async write(): Promise<WrittenBatch> {
    await this.#empty();
    const directRows = this.#directRows();
    for (const { group, fileIn } of this.#held) {
      const isLarge = (this.#sizes.get(group) ?? 0) >= directRows;
      await fileIn(isLarge ? this.#direct : this.#landing);
    }
    const landed = await this.#landing.write();
    const { tables } = await this.#direct.write();
    await this.discard();
    if (!landed) return { tables };
    return { tables, landing: { file: landed.file, tables: Object.fromEntries(landed.tables) } };
  }

  async probe(_rows: readonly ProbedRow[]): Promise<void> {}

  async discard(): Promise<void> {
    this.#held = [];
    this.#sizes.clear();
    await this.#empty();
  }

  /** What an earlier write left when it failed. */
  async #empty(): Promise<void> {
    this.#landing.discard();
    await this.#direct.discard();
  }

  #hold(key: string, row: Row, fileIn: HeldRow["fileIn"]): void {
    const group = `${key} ${hourOf(row)}`;
    this.#held.push({ group, fileIn });
    this.#sizes.set(group, (this.#sizes.get(group) ?? 0) + 1);
  }
}
