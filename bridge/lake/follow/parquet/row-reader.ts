import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { DuckDBConnection, DuckDBResult } from "@duckdb/node-api";
import type { CommittedLanding } from "../../commit-log/landed-file.ts";
import type { LandedVersion } from "../../landing/row-files.ts";
import { type Duckdb, openDuckdb, translateDuckdbError } from "../../parquet/duckdb.ts";
import type { LocalCopies, ObjectStore } from "../../stores/object-store.ts";
import { readTopicVersion } from "../../topic-versions.ts";
import type { CommittedRow } from "../committed-rows.ts";
import type { FollowedFiles, RowReader } from "../row-reader.ts";
import { decodeLanded } from "./decode-landed.ts";
import { decodeRows, followedTable } from "./decode-rows.ts";
import { landedQuery, versionsQuery } from "./landed-query.ts";
import { LandedTables } from "./landed-tables.ts";
import { countQuery, rowQuery } from "./row-query.ts";

const memoryLimitBytes = 256 * 1024 * 1024;
/** Topic versions that are read from the lake at the same time. */
const versionsAtOnce = 16;

type Slices = AsyncGenerator<readonly CommittedRow[]>;

class ParquetRowReader implements RowReader {
  readonly #store: ObjectStore;
  readonly #duckdb: Duckdb;
  /** By topic id and version. They never change; there are at most as many as the lake has. */
  readonly #versions = new Map<string, LandedVersion>();

  constructor(store: ObjectStore, duckdb: Duckdb) {
    this.#store = store;
    this.#duckdb = duckdb;
  }

  rows(files: FollowedFiles): Slices {
    return this.#read(pathsOf(files), async function* (connection, copies) {
      const result = await connection.stream(rowQuery(files, copies));
      const table = followedTable(files, result);
      for await (const chunk of chunksOf(result)) yield* decodeRows(chunk, table);
    });
  }

  landed(landing: CommittedLanding): Slices {
    const { path } = landing.file;
    const versionsIn = (connection: DuckDBConnection, location: string) =>
      this.#versionsIn(connection, location);
    return this.#read([path], async function* (connection, copies) {
      const location = copies.location(path);
      const tables = new LandedTables(landing, await versionsIn(connection, location));
      const result = await connection.stream(landedQuery(location, tables.casts));
      for await (const chunk of chunksOf(result)) yield* decodeLanded(chunk, tables);
    });
  }

  async count(files: FollowedFiles): Promise<number> {
    const paths = pathsOf(files);
    const copies = await this.#store.localCopies(paths);
    try {
      const result = await this.#duckdb.connection.runAndReadAll(countQuery(files, copies));
      return Number(result.getRows()[0]?.[0]);
    } catch (error) {
      throw translateDuckdbError(error, `counting rows in ${paths[0]}`);
    } finally {
      await copies.release();
    }
  }

  close(): Promise<void> {
    return this.#duckdb.close();
  }

  /** Each read has its own connection, because the files of a commit are read at the same time. */
  async *#read(
    paths: readonly string[],
    slices: (connection: DuckDBConnection, copies: LocalCopies) => Slices,
  ): Slices {
    const copies = await this.#store.localCopies(paths);
    try {
      const connection = await this.#duckdb.connect();
      try {
        yield* slices(connection, copies);
      } finally {
        connection.closeSync();
      }
    } catch (error) {
      throw translateDuckdbError(error, `reading rows from ${paths[0]}`);
    } finally {
      await copies.release();
    }
  }

  async #versionsIn(connection: DuckDBConnection, location: string): Promise<LandedVersion[]> {
    const result = await connection.runAndReadAll(versionsQuery(location));
    const found = result
      .getRows()
      .map(([topicId, version]) => ({ topicId: String(topicId), version: Number(version) }));
    const versions: LandedVersion[] = [];
    for (let start = 0; start < found.length; start += versionsAtOnce) {
      const some = found.slice(start, start + versionsAtOnce);
      versions.push(...(await Promise.all(some.map((each) => this.#version(each.topicId, each.version)))));
    }
    return versions;
  }

  async #version(topicId: string, version: number): Promise<LandedVersion> {
    const key = `${topicId}/${version}`;
    const known = this.#versions.get(key);
    if (known) return known;
    const { columns } = await readTopicVersion(this.#store, topicId, version);
    const read = { topicId, version, columns };
    this.#versions.set(key, read);
    return read;
  }
}

function pathsOf({ paths, except }: FollowedFiles): readonly string[] {
  return except === null ? paths : [...paths, except];
}

async function* chunksOf(result: DuckDBResult) {
  for (;;) {
    const chunk = await result.fetchChunk();
    if (!chunk || chunk.rowCount === 0) return;
    yield chunk;
  }
}

/** Opens a reader that sorts rows with DuckDB in bounded memory; DuckDB spills to the staging folder. */
export async function openRowReader(store: ObjectStore): Promise<RowReader> {
  const spillFolder = join(store.stagingFolder, `spill-${randomUUID()}`);
  return new ParquetRowReader(store, await openDuckdb({ memoryLimitBytes, spillFolder, threads: 1 }));
}
