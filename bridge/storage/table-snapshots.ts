import { BridgeError } from "../errors.ts";
import { QUARANTINE } from "./commit-log.ts";
import { checkReadable, schemaFields } from "./delta/delta-schema.ts";
import { DeltaTable, decodePath } from "./delta/delta-table.ts";
import { scopeOf } from "./delta/table-faults.ts";
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
  /** Why its rows can't be read; null if they can. */
  readonly fault: BridgeError | null;
}

/**
 * Every table of a lake: those with rows, those of topics without any, and `_quarantine`. One that another writer has damaged, or changed
 * beyond what we read, has a fault; the others are read all the same.
 * Rejects with LAKE_MISSING, LAKE_VERSION, LAKE_DAMAGED.
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
    snapshots.push(await readSnapshot(store, emptySnapshot(name, typedByName.get(name) ?? [])));
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
    fault: null,
  };
}

const vectorsText =
  "it has deletion vectors (rows deleted without rewriting their files). Engines that know them read it; REORG TABLE … APPLY (PURGE) of Spark removes them";

export function unreadable(name: string, fault: unknown): BridgeError {
  if (fault instanceof BridgeError) return fault;
  const text = fault instanceof Error ? fault.message : String(fault);
  return new BridgeError("TABLE_CONFLICT", `table ${name} can't be read here: ${text}`, { retryable: false });
}

/** @param empty As long as the table's log says nothing. */
async function readSnapshot(store: ObjectStore, empty: TableSnapshot): Promise<TableSnapshot> {
  const { name } = empty;
  try {
    return (await readLog(store, name)) ?? empty;
  } catch (error) {
    if (scopeOf(error, name) !== "table") throw error;
    return { ...empty, fault: unreadable(name, error) };
  }
}

async function readLog(store: ObjectStore, name: string): Promise<TableSnapshot | null> {
  const table = new DeltaTable(store, name);
  const { version, protocol, metaData } = await table.refresh();
  if (!protocol || !metaData) return null;
  checkReadable(name, protocol, metaData);
  const columns = schemaFields(name, metaData).flatMap((field) =>
    typeof field.type === "string" ? [{ name: field.name, type: field.type }] : [],
  );
  const live = await table.files();
  const files = live.map(({ path, size, partitionValues }) => ({
    path: `${name}/${decodePath(path)}`,
    bytes: size,
    partitionValues,
  }));
  const hasVectors = live.some(({ deletionVector }) => deletionVector);
  const fault = hasVectors ? unreadable(name, vectorsText) : null;
  return { name, version, columns, partitionColumns: metaData.partitionColumns, files, fault };
}
