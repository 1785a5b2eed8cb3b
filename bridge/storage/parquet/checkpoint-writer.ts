import { randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CheckpointContent, WrittenCheckpoint } from "../delta/checkpoint-files.ts";
import type { ObjectStore } from "../object-store.ts";
import { checkpointKinds, withCheckpointDatabase } from "./checkpoint-reader.ts";
import { type Duckdb, quoteText } from "./duckdb.ts";

const textMap = "MAP(VARCHAR, VARCHAR)";
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
  ],
  remove: [
    ["path", "VARCHAR"],
    ["deletionTimestamp", "BIGINT"],
    ["dataChange", "BOOLEAN"],
    ["extendedFileMetadata", "BOOLEAN"],
    ["partitionValues", textMap],
    ["size", "BIGINT"],
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
    await writeFile(actionsFile, content.actions.map((action) => `${JSON.stringify(action)}\n`).join(""));
    await writeFile(
      changedFile,
      content.changedPaths.map((path) => `${JSON.stringify({ path })}\n`).join(""),
    );
    const counted = await withCheckpointDatabase(store, content.previous, async (duckdb, previous) => {
      await copyCheckpoint(duckdb, previous, content, { localFile, actionsFile, changedFile });
      const result = await duckdb.connection.runAndReadAll(
        `SELECT count(*), count("add") FROM read_parquet(${quoteText(localFile)})`,
      );
      const [actions, addFiles] = result.getRows()[0] ?? [];
      return { actions: Number(actions), addFiles: Number(addFiles) };
    });
    const { bytes } = await store.importFile(localFile, path);
    return { ...counted, bytes };
  } catch (error) {
    await rm(localFile, { force: true });
    throw error;
  } finally {
    await rm(actionsFile, { force: true });
    await rm(changedFile, { force: true });
  }
}

async function copyCheckpoint(
  duckdb: Duckdb,
  previous: string,
  content: CheckpointContent,
  files: { localFile: string; actionsFile: string; changedFile: string },
): Promise<void> {
  const kinds = Object.keys(checkpointColumns);
  const jsonColumns = kinds.map((kind) => `"${kind}": '${structType(kind)}'`).join(", ");
  const selects = [
    `SELECT ${kinds.map((kind) => `"${kind}"`).join(", ")} FROM ` +
      `read_json(${quoteText(files.actionsFile)}, format = 'newline_delimited', columns = {${jsonColumns}})`,
  ];
  if (content.previous.length > 0) selects.push(await selectPrevious(duckdb, previous, content, files));
  await duckdb.connection.run(
    `COPY (${selects.join(" UNION ALL ")}) TO ${quoteText(files.localFile)} (FORMAT parquet, COMPRESSION snappy)`,
  );
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

/** The struct with our fields in our order: other writers have more, fewer, or in another order. */
async function castStruct(duckdb: Duckdb, source: string, kind: string): Promise<string> {
  const described = await duckdb.connection.runAndReadAll(`DESCRIBE SELECT unnest("${kind}") FROM ${source}`);
  const present = new Set(described.getRows().map(([name]) => String(name)));
  const fields = (checkpointColumns[kind] ?? []).map(([name, type]) =>
    present.has(name) ? `"${name}": "${kind}"."${name}"::${type}` : `"${name}": NULL::${type}`,
  );
  return `CASE WHEN "${kind}" IS NULL THEN NULL ELSE {${fields.join(", ")}} END`;
}
