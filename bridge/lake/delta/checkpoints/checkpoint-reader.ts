import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type Duckdb, openDuckdb, quoteText, translateDuckdbError } from "../../parquet/duckdb.ts";
import type { ObjectStore } from "../../stores/object-store.ts";
import type { VisitFile } from "../checkpoint-files.ts";
import { type AddAction, type DeltaAction, parseActions } from "../delta-actions.ts";

const mib = 1024 * 1024;
const memoryLimitBytes = 256 * mib;
/** Room to complete the statistics of some thousand files at a time; their size grows with the columns. */
const memoryBytesPerColumn = 3 * mib;
const memoryLimitBytesMax = 1024 * mib;

/** Memory for a checkpoint of a table with this many columns, whatever its number of files. */
export function checkpointMemoryBytes(columns: number): number {
  return Math.min(memoryLimitBytes + columns * memoryBytesPerColumn, memoryLimitBytesMax);
}

/**
 * Opens a database for one checkpoint and closes it after `work`. `work` gets the SQL that reads the files of
 * `paths`, and their local places.
 */
export async function withCheckpointDatabase<Result>(
  store: ObjectStore,
  paths: readonly string[],
  work: (duckdb: Duckdb, source: string, files: readonly string[]) => Promise<Result>,
  memoryBytes = memoryLimitBytes,
): Promise<Result> {
  const spillFolder = join(store.stagingFolder, `spill-${randomUUID()}`);
  const copies = await store.localCopies(paths);
  try {
    const duckdb = await openDuckdb({ memoryLimitBytes: memoryBytes, spillFolder, threads: 1 });
    try {
      const files = paths.map((path) => copies.location(path));
      const source = `read_parquet([${files.map(quoteText).join(", ")}], union_by_name = true)`;
      return await work(duckdb, source, files);
    } finally {
      await duckdb.close();
    }
  } catch (error) {
    throw translateDuckdbError(error, "reading or writing a checkpoint");
  } finally {
    await copies.release();
  }
}

/**
 * The kinds of actions for which the file has a column; other writers leave out columns that would be empty.
 */
export async function checkpointKinds(duckdb: Duckdb, source: string): Promise<string[]> {
  const described = await duckdb.connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
  const known = new Set(["protocol", "metaData", "txn", "add", "remove", "domainMetadata"]);
  return described.getRows().flatMap(([name]) => (known.has(String(name)) ? [String(name)] : []));
}

/** All actions of a checkpoint that concern the table as a whole. */
export async function readCheckpointHead(
  store: ObjectStore,
  paths: readonly string[],
): Promise<DeltaAction[]> {
  return withCheckpointDatabase(store, paths, async (duckdb, source) => {
    const kinds = (await checkpointKinds(duckdb, source)).filter(
      (kind) => kind !== "add" && kind !== "remove",
    );
    const fields = kinds.map((kind) => `"${kind}": "${kind}"`).join(", ");
    const some = kinds.map((kind) => `"${kind}" IS NOT NULL`).join(" OR ");
    const result = await duckdb.connection.runAndReadAll(
      `SELECT to_json({${fields}})::VARCHAR FROM ${source} WHERE ${some}`,
    );
    return parseActions(paths[0] ?? "", Buffer.from(result.getRows().map(String).join("\n")));
  });
}

/** Visits the files that a checkpoint shows, in chunks; with `untilDate`, only those of days up to this one. */
export async function eachCheckpointAdd(
  store: ObjectStore,
  paths: readonly string[],
  { visit, untilDate }: { visit: (add: AddAction) => void; untilDate?: string | undefined },
): Promise<void> {
  const days =
    untilDate === undefined ? "" : ` AND "add".partitionValues['event_date'] <= ${quoteText(untilDate)}`;
  await withCheckpointDatabase(store, paths, async (duckdb, source) => {
    if (!(await checkpointKinds(duckdb, source)).includes("add")) return;
    const result = await duckdb.connection.stream(
      `SELECT to_json({"add": "add"})::VARCHAR FROM ${source} WHERE "add" IS NOT NULL${days}`,
    );
    for (
      let chunk = await result.fetchChunk();
      chunk && chunk.rowCount > 0;
      chunk = await result.fetchChunk()
    ) {
      const lines = chunk.getRows().map(String).join("\n");
      for (const { add } of parseActions(paths[0] ?? "", Buffer.from(lines))) if (add) visit(add);
    }
  });
}

/** Visits the path of each file action of a checkpoint, in chunks. */
export async function eachCheckpointFile(
  store: ObjectStore,
  paths: readonly string[],
  visit: VisitFile,
): Promise<void> {
  await withCheckpointDatabase(store, paths, async (duckdb, source) => {
    const kinds = await checkpointKinds(duckdb, source);
    for (const kind of ["add", "remove"].filter((each) => kinds.includes(each))) {
      const removedAtMs = kind === "add" ? "NULL" : 'coalesce("remove".deletionTimestamp, 0)::DOUBLE';
      const result = await duckdb.connection.stream(
        `SELECT "${kind}".path, ${removedAtMs} FROM ${source} WHERE "${kind}" IS NOT NULL`,
      );
      for (
        let chunk = await result.fetchChunk();
        chunk && chunk.rowCount > 0;
        chunk = await result.fetchChunk()
      )
        for (const [path, atMs] of chunk.getRows()) visit(String(path), atMs === null ? null : Number(atMs));
    }
  });
}
