import assert from "node:assert/strict";
import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DOUBLE,
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBType,
  INTEGER,
  VARCHAR,
} from "@duckdb/node-api";
import { quoteName } from "./duckdb.ts";

/** DuckDB's vector size: a chunk holds no more rows, and with fewer it wastes memory. */
const chunkRowsMax = 2048;
const chunkBytesMax = 4 * 1024 * 1024;

/** How a column is staged. The SELECT of a file turns `milliseconds` into timestamps. */
export type StagedType = "boolean" | "integer" | "long" | "double" | "string" | "bytes" | "milliseconds";

const duckdbTypes: Record<StagedType, DuckDBType> = {
  boolean: BOOLEAN,
  integer: INTEGER,
  long: BIGINT,
  double: DOUBLE,
  string: VARCHAR,
  bytes: BLOB,
  milliseconds: DOUBLE,
};

export interface StagedColumn {
  readonly name: string;
  readonly type: StagedType;
}

/** The staging columns of rows of type `Staged`. */
export interface StagedShape<Staged> {
  readonly columns: readonly StagedColumn[];
  /** Writes the rows into the vectors of a chunk with these columns. The caller flushes the vectors. */
  fill(chunk: DuckDBDataChunk, rows: readonly Staged[]): void;
}

/** Rows for one table of the database: collected into full chunks, then appended column by column. */
export class StagingTable<Staged> {
  readonly name: string;
  readonly #connection: DuckDBConnection;
  readonly #shape: StagedShape<Staged>;
  readonly #types: readonly DuckDBType[];
  #pending: Staged[] = [];
  #pendingBytes = 0;
  #chunk: DuckDBDataChunk | undefined;
  #appender: DuckDBAppender | undefined;
  #isCreated = false;

  constructor(connection: DuckDBConnection, name: string, shape: StagedShape<Staged>) {
    this.#connection = connection;
    this.name = name;
    this.#shape = shape;
    this.#types = shape.columns.map(({ type }) => duckdbTypes[type]);
  }

  /**
   * Returns a promise only if a chunk became full; await it before the next call. `bytes` is the row's
   * estimated size.
   */
  add(row: Staged, bytes: number): void | Promise<void> {
    this.#pending.push(row);
    this.#pendingBytes += bytes;
    if (this.#pending.length === chunkRowsMax || this.#pendingBytes >= chunkBytesMax)
      return this.#appendPending();
  }

  /** Makes all rows visible to queries. */
  async finish(): Promise<void> {
    await this.#appendPending();
    this.#appender?.closeSync();
    this.#appender = undefined;
  }

  async #appendPending(): Promise<void> {
    this.#appender ??= await this.#openAppender();
    const rows = this.#pending;
    if (rows.length === 0) return;
    this.#appender.appendDataChunk(this.#fillChunk(rows));
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  /** Uses one chunk again and again. The native memory of new chunks would wait for the garbage collector. */
  #fillChunk(rows: readonly Staged[]): DuckDBDataChunk {
    this.#chunk ??= DuckDBDataChunk.create(this.#types);
    const chunk = this.#chunk;
    chunk.reset();
    chunk.rowCount = rows.length;
    this.#shape.fill(chunk, rows);
    for (let column = 0; column < this.#types.length; column++) chunk.getColumnVector(column).flush();
    return chunk;
  }

  async #openAppender(): Promise<DuckDBAppender> {
    if (!this.#isCreated) {
      const columns = this.#shape.columns.map(
        ({ name }, index) => `${quoteName(name)} ${this.#types[index]}`,
      );
      await this.#connection.run(`CREATE TABLE ${quoteName(this.name)} (${columns.join(", ")})`);
      this.#isCreated = true;
    }
    const appender = await this.#connection.createAppender(this.name);
    assert.equal(appender.columnCount, this.#types.length);
    return appender;
  }
}
