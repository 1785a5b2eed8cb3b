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
  type DuckDBValue,
  INTEGER,
  VARCHAR,
} from "@duckdb/node-api";
import { quoteName } from "./duckdb.ts";

/** DuckDB's vector size: a chunk holds no more rows, and fewer waste memory. */
export const chunkRows = 2048;

/** How a staged column is held; `milliseconds` becomes a timestamp when it is read back. */
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

/** A staged column of rows of type `Staged`, and how to take its value from one. */
export interface StagedColumn<Staged> {
  readonly name: string;
  readonly type: StagedType;
  readonly value: (row: Staged) => DuckDBValue;
}

/** Rows on their way into one table of the database: collected to full chunks, which are then appended column by column. */
export class StagingTable<Staged> {
  readonly name: string;
  readonly #connection: DuckDBConnection;
  readonly #columns: readonly StagedColumn<Staged>[];
  readonly #types: readonly DuckDBType[];
  #pending: Staged[] = [];
  #appender: DuckDBAppender | undefined;
  #isCreated = false;

  constructor(connection: DuckDBConnection, name: string, columns: readonly StagedColumn<Staged>[]) {
    this.#connection = connection;
    this.name = name;
    this.#columns = columns;
    this.#types = columns.map(({ type }) => duckdbTypes[type]);
  }

  /** Returns a promise, to be awaited before the next call, where a chunk became full. */
  add(row: Staged): void | Promise<void> {
    this.#pending.push(row);
    if (this.#pending.length === chunkRows) return this.#appendPending();
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
    this.#appender.appendDataChunk(this.#makeChunk(rows));
    this.#pending = [];
  }

  #makeChunk(rows: readonly Staged[]): DuckDBDataChunk {
    const chunk = DuckDBDataChunk.create(this.#types, rows.length);
    this.#columns.forEach(({ value }, index) => {
      const vector = chunk.getColumnVector(index);
      for (let row = 0; row < rows.length; row++) vector.setItem(row, value(rows[row] as Staged));
      vector.flush();
    });
    return chunk;
  }

  async #openAppender(): Promise<DuckDBAppender> {
    if (!this.#isCreated) {
      const columns = this.#columns.map(({ name }, index) => `${quoteName(name)} ${this.#types[index]}`);
      await this.#connection.run(`CREATE TABLE ${quoteName(this.name)} (${columns.join(", ")})`);
      this.#isCreated = true;
    }
    const appender = await this.#connection.createAppender(this.name);
    assert.equal(appender.columnCount, this.#columns.length);
    return appender;
  }
}
