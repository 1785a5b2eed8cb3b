import { randomUUID } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Duckdb, quoteText, translateDuckdbError } from "../../parquet/duckdb.ts";
import type { ObjectStore } from "../../stores/object-store.ts";
import type { CheckpointContent, WrittenCheckpoint } from "../checkpoint-files.ts";
import { checkpointKinds, checkpointMemoryBytes, withCheckpointDatabase } from "./checkpoint-reader.ts";
import { withCompleteStatistics } from "./complete-statistics.ts";

/** A file's statistics about one column: two bounds and a count. */
const statisticsBytesPerColumn = 150;
const rowGroupBytes = 16 * 1024 * 1024;
const vectorRows = 2048;

/**
 * DuckDB keeps a row group in memory until it is complete. Its default of 122,880 files per group would take
 * too much. Group sizes are whole vectors.
 */
function rowGroupRows(columns: number): number {
  const rows = rowGroupBytes / (500 + columns * statisticsBytesPerColumn);
  return vectorRows * Math.max(1, Math.floor(rows / vectorRows));
}

/** Key in a checkpoint's metadata. Its value: the columns for which all files have complete statistics. */
const completeKey = "tidegate.completeStatistics";

const textMap = "MAP(VARCHAR, VARCHAR)";
const deletionVector =
  'STRUCT(storageType VARCHAR, pathOrInlineDv VARCHAR, "offset" INTEGER, sizeInBytes INTEGER, cardinality BIGINT)';
/** Columns of a checkpoint (PROTOCOL.md, "Checkpoint Schema"). */
const checkpointColumns: Readonly<Record<string, readonly (readonly [name: string, type: string])[]>> = {
  txn: [
    ["appId", "VARCHAR"],
    ["version", "BIGINT"],
    ["lastUpdated", "BIGINT"],
  ],
  add: [
    ["path", "VARCHAR"],
    ["partitionValues", textMap],
    ["size", "BIGINT"],
    ["modificationTime", "BIGINT"],
    ["dataChange", "BOOLEAN"],
    ["stats", "VARCHAR"],
    ["deletionVector", deletionVector],
    ["tags", textMap],
  ],
  remove: [
    ["path", "VARCHAR"],
    ["deletionTimestamp", "BIGINT"],
    ["dataChange", "BOOLEAN"],
    ["extendedFileMetadata", "BOOLEAN"],
    ["partitionValues", textMap],
    ["size", "BIGINT"],
    ["deletionVector", deletionVector],
  ],
  metaData: [
    ["id", "VARCHAR"],
    ["name", "VARCHAR"],
    ["description", "VARCHAR"],
    ["format", `STRUCT(provider VARCHAR, options ${textMap})`],
    ["schemaString", "VARCHAR"],
    ["partitionColumns", "VARCHAR[]"],
    ["configuration", textMap],
    ["createdTime", "BIGINT"],
  ],
  protocol: [
    ["minReaderVersion", "INTEGER"],
    ["minWriterVersion", "INTEGER"],
    ["readerFeatures", "VARCHAR[]"],
    ["writerFeatures", "VARCHAR[]"],
  ],
  domainMetadata: [
    ["domain", "VARCHAR"],
    ["configuration", "VARCHAR"],
    ["removed", "BOOLEAN"],
  ],
};

function structType(kind: string): string {
  return `STRUCT(${(checkpointColumns[kind] ?? []).map(([name, type]) => `"${name}" ${type}`).join(", ")})`;
}

/** See `CheckpointFiles`. */
export async function writeCheckpointFile(
  store: ObjectStore,
  path: string,
  content: CheckpointContent,
): Promise<WrittenCheckpoint> {
  const localFile = join(store.stagingFolder, `${randomUUID()}.checkpoint.parquet`);
  const actionsFile = `${localFile}.json`;
  const changedFile = `${localFile}.changed`;
  try {
    await mkdir(store.stagingFolder, { recursive: true });
    await writeFile(actionsFile, content.actions.map((action) => `${JSON.stringify(action)}\n`).join(""));
    await writeFile(
      changedFile,
      content.changedPaths.map((path) => `${JSON.stringify({ path })}\n`).join(""),
    );
    const counted = await withCheckpointDatabase(
      store,
      content.previous,
      async (duckdb, previous, previousFiles) => {
        const files = { localFile, actionsFile, changedFile, previousFiles };
        await copyCheckpoint(duckdb, previous, content, files);
        const result = await duckdb.connection.runAndReadAll(
          `SELECT count(*), count("add") FROM read_parquet(${quoteText(localFile)})`,
        );
        const [actions, addFiles] = result.getRows()[0] ?? [];
        return { actions: Number(actions), addFiles: Number(addFiles) };
      },
      checkpointMemoryBytes(content.columns.length),
    );
    const { bytes } = await store.importFile(localFile, path);
    return { ...counted, bytes };
  } catch (error) {
    await rm(localFile, { force: true });
    throw translateDuckdbError(error, "writing a checkpoint");
  } finally {
    await rm(actionsFile, { force: true });
    await rm(changedFile, { force: true });
  }
}

async function copyCheckpoint(
  duckdb: Duckdb,
  previous: string,
  content: CheckpointContent,
  files: { localFile: string; actionsFile: string; changedFile: string; previousFiles: readonly string[] },
): Promise<void> {
  const kinds = Object.keys(checkpointColumns);
  const jsonColumns = kinds.map((kind) => `"${kind}": '${structType(kind)}'`).join(", ");
  const added =
    `SELECT ${kinds.map((kind) => `"${kind}"`).join(", ")} FROM ` +
    `read_json(${quoteText(files.actionsFile)}, format = 'newline_delimited', columns = {${jsonColumns}})`;
  const addFields = (checkpointColumns["add"] ?? []).map(([name]) => name);
  const complete = (select: string) => withCompleteStatistics(select, addFields, content.columns);
  const columnsText = JSON.stringify(content.columns);
  const selects = [complete(added)];
  if (content.previous.length > 0) {
    const carried = await selectPrevious(duckdb, previous, content, files);
    const isComplete = (await completeColumns(duckdb, files.previousFiles)) === columnsText;
    selects.push(isComplete ? carried : complete(carried));
  }
  // Actions have no order. Preserving one would keep more row groups in memory.
  await duckdb.connection.run("SET preserve_insertion_order = false");
  await duckdb.connection.run(
    `COPY (${selects.join(" UNION ALL ")}) TO ${quoteText(files.localFile)} ` +
      `(FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE ${rowGroupRows(content.columns.length)}, KV_METADATA {${quoteText(completeKey)}: ${quoteText(columnsText)}})`,
  );
}

/** The value of `completeKey` in a checkpoint; null for those of other writers and versions. */
async function completeColumns({ connection }: Duckdb, files: readonly string[]): Promise<string | null> {
  if (files.length !== 1) return null;
  const result = await connection.runAndReadAll(
    `SELECT decode(value) FROM parquet_kv_metadata(${quoteText(files[0] ?? "")}) WHERE decode(key) = ${quoteText(completeKey)}`,
  );
  return (result.getRows()[0]?.[0] as string | undefined) ?? null;
}

async function selectPrevious(
  duckdb: Duckdb,
  source: string,
  content: CheckpointContent,
  files: { changedFile: string },
): Promise<string> {
  const present = await checkpointKinds(duckdb, source);
  const expressions: string[] = [];
  for (const kind of Object.keys(checkpointColumns)) {
    const isFileAction = kind === "add" || kind === "remove";
    expressions.push(
      isFileAction && present.includes(kind)
        ? `${await castStruct(duckdb, source, kind)} AS "${kind}"`
        : `NULL::${structType(kind)} AS "${kind}"`,
    );
  }
  const changed = `SELECT path FROM read_json(${quoteText(files.changedFile)}, format = 'newline_delimited', columns = {path: 'VARCHAR'})`;
  const kept = `("remove" IS NULL OR coalesce("remove".deletionTimestamp, 0) >= ${content.tombstonesSinceMs})`;
  return (
    `SELECT * FROM (SELECT ${expressions.join(", ")} FROM ${source}) ` +
    `WHERE ("add" IS NOT NULL OR "remove" IS NOT NULL) AND ${kept} ` +
    `AND url_decode(coalesce("add".path, "remove".path)) NOT IN (${changed})`
  );
}

/**
 * The struct with our fields in our order, because other writers have more or fewer fields, or another order.
 */
async function castStruct(duckdb: Duckdb, source: string, kind: string): Promise<string> {
  const described = await duckdb.connection.runAndReadAll(`DESCRIBE SELECT unnest("${kind}") FROM ${source}`);
  const present = new Set(described.getRows().map(([name]) => String(name)));
  const fields = (checkpointColumns[kind] ?? []).map(([name, type]) =>
    present.has(name) ? `"${name}": "${kind}"."${name}"::${type}` : `"${name}": NULL::${type}`,
  );
  return `CASE WHEN "${kind}" IS NULL THEN NULL ELSE {${fields.join(", ")}} END`;
}
