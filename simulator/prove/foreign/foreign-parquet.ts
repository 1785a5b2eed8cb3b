// Parquet files as another writer reads and writes them, with DuckDB and no code of the gateway.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

const memoryLimit = "256MB";

/** The rows of the files that are not null in one of these columns, each as JSON. */
export function readObjects<Name extends string>(
  files: readonly Buffer[],
  columns: readonly Name[],
): Promise<Partial<Record<Name, unknown>>[]> {
  return withFiles(files, async ({ connection, source }) => {
    const fields = columns.map((name) => `"${name}": "${name}"`).join(", ");
    const some = columns.map((name) => `"${name}" IS NOT NULL`).join(" OR ");
    const result = await connection.runAndReadAll(
      `SELECT to_json({${fields}})::VARCHAR FROM ${source} WHERE ${some}`,
    );
    return result.getRows().map(([text]) => JSON.parse(String(text)));
  });
}

/** One file with the rows of all, in their order. */
export function joinFiles(files: readonly Buffer[]): Promise<Buffer> {
  return withFiles(files, async ({ connection, source, folder }) => {
    const target = join(folder, "joined.parquet");
    await connection.run(`COPY (SELECT * FROM ${source}) TO '${target}' (FORMAT parquet, COMPRESSION zstd)`);
    return await readFile(target);
  });
}

/** One file with one row. */
export function rowFile(columns: readonly Column[]): Promise<Buffer> {
  return withFiles([], async ({ connection, folder }) => {
    const target = join(folder, "row.parquet");
    const values = columns.map(({ name, type, value }) => `${literal(value)}::${type} AS "${name}"`);
    await connection.run(
      `COPY (SELECT ${values.join(", ")}) TO '${target}' (FORMAT parquet, COMPRESSION zstd)`,
    );
    return await readFile(target);
  });
}

/** A column of one row. */
export interface Column {
  readonly name: string;
  /** As DuckDB calls it. */
  readonly type: string;
  readonly value: string | number | boolean | null;
}

function literal(value: Column["value"]): string {
  return value === null ? "NULL" : `'${String(value).replaceAll("'", "''")}'`;
}

interface OpenFiles {
  readonly connection: DuckDBConnection;
  /** SQL that reads them. */
  readonly source: string;
  readonly folder: string;
}

async function withFiles<Result>(
  files: readonly Buffer[],
  use: (open: OpenFiles) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-foreign-"));
  const instance = await DuckDBInstance.create(":memory:", { threads: "1", memory_limit: memoryLimit });
  try {
    const paths = files.map((_, index) => join(folder, `${index}.parquet`));
    for (const [index, path] of paths.entries()) await writeFile(path, files[index] as Buffer);
    const names = paths.map((path) => `'${path}'`).join(", ");
    const source = `read_parquet([${names}], union_by_name = true, hive_partitioning = false)`;
    const connection = await instance.connect();
    try {
      await connection.run("SET TimeZone = 'UTC'");
      return await use({ connection, source, folder });
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
    await rm(folder, { recursive: true, force: true });
  }
}
