import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { AddedFile, TableAdds } from "../commit-log/commit-log.ts";
import { type CommittedLanding, landingFolder } from "../commit-log/landed-file.ts";
import { BoundedWork } from "../stores/bounded-work.ts";
import type { DirectFile, LandedRows } from "./batch-groups.ts";
import { quoteText } from "./duckdb.ts";
import { rowGroupRows } from "./file-plan.ts";
import { landedColumns } from "./landed-rows.ts";
import { type StagedNames, selectDirect, selectLanding } from "./landing-shape.ts";
import { type TableFileOptions, TableFileWriter } from "./table-file-writer.ts";

const importsAtOnce = 4;
/**
 * Smaller than DuckDB's default: a reader that wants one table of many reads less. A file of 200 tables grows
 * by 6 %.
 */
const groupRowsMax = 40_960;

/** Writes the files of a staged batch. */
export class BatchFiles {
  readonly #connection: DuckDBConnection;
  readonly #from: StagedNames;
  readonly #options: TableFileOptions;
  readonly #files: TableFileWriter;

  constructor(connection: DuckDBConnection, from: StagedNames, options: TableFileOptions) {
    this.#connection = connection;
    this.#from = from;
    this.#options = options;
    this.#files = new TableFileWriter(options);
  }

  /**
   * Resolves with the files by table key, in the order given. The engine writes the next file while the store
   * imports the last ones.
   */
  async writeDirect(files: readonly DirectFile[]): Promise<Record<string, TableAdds>> {
    const imports = new BoundedWork<readonly [file: DirectFile, add: AddedFile]>(importsAtOnce);
    try {
      for (const direct of files) {
        const { name, file, versions } = direct;
        const select = selectDirect(this.#from, direct);
        const columns = landedColumns({ versions });
        const written = await this.#files.write(this.#connection, { file, select, columns });
        if (await imports.add(async () => [direct, await this.#files.import(name, written)])) continue;
        await rm(written.localFile, { force: true });
        break;
      }
    } finally {
      await imports.settled();
    }
    return tableAdds(await imports.results());
  }

  /** Writes the rows that land as one durable file under a unique name. */
  async writeLanding({ tables, rows, bytes: size, ...times }: LandedRows): Promise<CommittedLanding> {
    const { store, compressionLevel } = this.#options;
    const path = `${landingFolder}/${randomUUID()}.parquet`;
    const localFile = join(store.stagingFolder, `${randomUUID()}.parquet`);
    try {
      const groupRows = Math.min(groupRowsMax, rowGroupRows({ rows, bytes: size }));
      const result = await this.#connection.run(
        `COPY (${selectLanding(this.#from)}) TO ${quoteText(localFile)} ` +
          `(FORMAT parquet, RETURN_STATS, ROW_GROUP_SIZE ${groupRows}, KV_METADATA {"tidegate.format": '1'}, ` +
          `COMPRESSION zstd, COMPRESSION_LEVEL ${compressionLevel})`,
      );
      const [copied] = await result.getRowObjects();
      assert.equal(Number(copied?.["count"]), rows, "the file has the rows that were staged for it");
      const { bytes } = await store.importFile(localFile, path);
      return { file: { path, bytes, size, ...times }, tables };
    } catch (error) {
      await rm(localFile, { force: true });
      throw error;
    }
  }
}

function tableAdds(
  added: readonly (readonly [file: DirectFile, add: AddedFile])[],
): Record<string, TableAdds> {
  const tables = new Map<string, { name: string; version: number; adds: AddedFile[] }>();
  for (const [{ key, name, versions }, add] of added) {
    const table = tables.get(key) ?? { name, version: 0, adds: [] };
    table.version = Math.max(table.version, ...(versions ?? []).map(({ version }) => version));
    table.adds.push(add);
    tables.set(key, table);
  }
  return Object.fromEntries(tables);
}
