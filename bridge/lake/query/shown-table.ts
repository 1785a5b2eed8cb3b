import { BridgeError } from "../../errors.ts";
import { type LaneCommits, noCommits } from "../commit-log/lane-commits.ts";
import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import { decodePath } from "../delta/delta-actions.ts";
import { checkReadable, schemaFields } from "../delta/delta-schema.ts";
import { DeltaTable } from "../delta/delta-table.ts";
import { settledLanes } from "../delta/lane-transactions.ts";
import { scopeOf } from "../delta/table-faults.ts";
import type { ObjectStore } from "../stores/object-store.ts";

export interface SnapshotFile {
  /** Path in the store. */
  readonly path: string;
  readonly bytes: number;
  readonly partitionValues: Readonly<Record<string, string | null>>;
}

/** A table at its newest Delta version. */
export interface ShownLog {
  /** -1 if the table has no log yet. */
  readonly version: number;
  /**
   * Columns of primitive types, with their Delta type. Nested columns, which only other writers add, are left
   * out.
   */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly partitionColumns: readonly string[];
  readonly files: readonly SnapshotFile[];
}

export interface ShownTable {
  /** Null if the table has no log yet, or if it can't be read. */
  readonly log: ShownLog | null;
  readonly transactions: LaneCommits;
  readonly fault: BridgeError | null;
}

/** No rows are looked up for a table that can't be read. */
const everything: LaneCommits = {
  direct: Number.MAX_SAFE_INTEGER,
  even: Number.MAX_SAFE_INTEGER,
  odd: Number.MAX_SAFE_INTEGER,
  late: Number.MAX_SAFE_INTEGER,
};

const vectorsText =
  "it has deletion vectors (rows deleted without rewriting their files). Read it with an engine that supports them, or remove them with REORG TABLE … APPLY (PURGE) in Spark";

export function unreadable(name: string, fault: unknown): BridgeError {
  if (fault instanceof BridgeError) return fault;
  const text = fault instanceof Error ? fault.message : String(fault);
  return new BridgeError("TABLE_CONFLICT", `table ${name} can't be read here: ${text}`, { retryable: false });
}

/**
 * What a table's Delta log shows. A fault of the table is in the result; rejects with the store's errors.
 *
 * @param checkpoints Default: Parquet files.
 */
export async function readShownTable(
  store: ObjectStore,
  name: string,
  lakeId: string,
  checkpoints?: CheckpointFiles,
): Promise<ShownTable> {
  try {
    return await readLog(new DeltaTable(store, name, checkpoints && { checkpoints }), lakeId);
  } catch (error) {
    if (scopeOf(error, name) !== "table") throw error;
    return { log: null, transactions: everything, fault: unreadable(name, error) };
  }
}

async function readLog(table: DeltaTable, lakeId: string): Promise<ShownTable> {
  const { name } = table;
  await table.refresh();
  // If the log is cleaned up meanwhile, the files are of a newer version than the one that was read first.
  const live = table.state.version < 0 ? [] : await table.files();
  const { version, protocol, metaData, txns } = table.state;
  if (!protocol || !metaData) return { log: null, transactions: noCommits, fault: null };
  checkReadable(name, protocol, metaData);
  const columns = schemaFields(name, metaData).flatMap((field) =>
    typeof field.type === "string" ? [{ name: field.name, type: field.type }] : [],
  );
  const files = live.map(({ path, size, partitionValues }) => ({
    path: `${name}/${decodePath(path)}`,
    bytes: size,
    partitionValues,
  }));
  const log = { version, columns, partitionColumns: metaData.partitionColumns, files };
  const hasVectors = live.some(({ deletionVector }) => deletionVector);
  if (hasVectors) return { log, transactions: everything, fault: unreadable(name, vectorsText) };
  return { log, transactions: settledLanes(txns, lakeId), fault: null };
}
