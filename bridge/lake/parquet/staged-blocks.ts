import type { DuckDBConnection } from "@duckdb/node-api";
import type { Row } from "../../tail/row.ts";
import { blockShape, type StagedBlock } from "./staged-rows.ts";
import { StagingTable } from "./staging-table.ts";

const blockBytes = 100;

/** The blocks of staged rows: the place of a row in the stream is staged once for each block. */
export class StagedBlocks {
  readonly name = "blocks";
  readonly #staging: StagingTable<StagedBlock>;
  #open: StagedBlock | undefined;

  constructor(connection: DuckDBConnection) {
    this.#staging = new StagingTable(connection, this.name, blockShape);
  }

  /** The number of the newest block. */
  get number(): number {
    return this.#open?.number ?? 0;
  }

  /** Makes the block of this row the newest one. Returns a promise only if a chunk became full. */
  add(row: Row): void | Promise<void> {
    if (this.#isOpen(row)) return;
    const { streamId, partition, position, ingestTimeMs, streamTimeMs } = row;
    this.#open = { number: this.number + 1, streamId, partition, position, ingestTimeMs, streamTimeMs };
    return this.#staging.add(this.#open, blockBytes);
  }

  finish(): Promise<void> {
    return this.#staging.finish();
  }

  #isOpen(row: Row): boolean {
    const block = this.#open;
    return (
      block !== undefined &&
      block.position === row.position &&
      block.partition === row.partition &&
      block.streamId === row.streamId &&
      block.ingestTimeMs === row.ingestTimeMs &&
      block.streamTimeMs === row.streamTimeMs
    );
  }
}
