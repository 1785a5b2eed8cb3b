import { QUARANTINE } from "./commit-log.ts";
import { checkProtocol, schemaFields } from "./delta/delta-schema.ts";
import { DeltaTable, decodePath } from "./delta/delta-table.ts";
import { openCommitLog } from "./lake-commit-log.ts";
import type { ObjectStore } from "./object-store.ts";
import { baseColumns, mergeColumns, partitionColumns, quarantineColumns } from "./table-columns.ts";
import { openTopicCatalog } from "./topic-versions.ts";

export interface SnapshotFile {
  /** Path in the store. */
  readonly path: string;
  readonly bytes: number;
  readonly partitionValues: Readonly<Record<string, string | null>>;
}

/** A table as its newest Delta version shows it. */
export interface TableSnapshot {
  readonly name: string;
  /** -1: nothing was filed in it so far. */
  readonly version: number;
  /** Columns of primitive types, by their Delta type. Nested ones, which only another writer can have added, are left out. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly partitionColumns: readonly string[];
  readonly files: readonly SnapshotFile[];
}

/**
 * Every table of a lake: those with rows, those of topics without any, and `_quarantine`.
 * Rejects with LAKE_MISSING, LAKE_VERSION, LAKE_DAMAGED, or TABLE_CONFLICT where a table needs a newer Delta reader.
 */
export async function readTableSnapshots(store: ObjectStore): Promise<TableSnapshot[]> {
  const commitLog = await openCommitLog(store, { create: false });
  const { tables } = await commitLog.load();
  const catalog = await openTopicCatalog(store);
  const names = new Set([QUARANTINE, ...[...tables.values()].map(({ name }) => name)]);
  const typedByName = new Map<string, ReturnType<typeof mergeColumns>>();
  const definitions = [...catalog.definitions()].sort((left, right) => left.version - right.version);
  for (const { name, columns } of definitions) {
    names.add(name);
    typedByName.set(name, mergeColumns([typedByName.get(name) ?? [], columns]));
  }
  const snapshots: TableSnapshot[] = [];
  for (const name of [...names].sort())
    snapshots.push((await readSnapshot(store, name)) ?? emptySnapshot(name, typedByName.get(name) ?? []));
  return snapshots;
}

function emptySnapshot(name: string, typed: ReturnType<typeof mergeColumns>): TableSnapshot {
  const own = name === QUARANTINE ? quarantineColumns : typed;
  return {
    name,
    version: -1,
    columns: [...baseColumns, ...own, ...partitionColumns],
    partitionColumns: partitionColumns.map((column) => column.name),
    files: [],
  };
}

async function readSnapshot(store: ObjectStore, name: string): Promise<TableSnapshot | null> {
  const table = new DeltaTable(store, name);
  const state = await table.refresh();
  if (!state.protocol || !state.metaData) return null;
  checkProtocol(name, state.protocol, "read");
  const columns = schemaFields(name, state.metaData).flatMap((field) =>
    typeof field.type === "string" ? [{ name: field.name, type: field.type }] : [],
  );
  const files = (await table.files()).map(({ path, size, partitionValues }) => ({
    path: `${name}/${decodePath(path)}`,
    bytes: size,
    partitionValues,
  }));
  return { name, version: state.version, columns, partitionColumns: state.metaData.partitionColumns, files };
}
