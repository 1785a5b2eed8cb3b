import { encodeJson } from "../commit-log/lake-format.ts";
import { deleteObjects } from "../stores/delete-objects.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { plainColumns } from "./absent-columns.ts";
import type { DeltaAction } from "./delta-actions.ts";
import { checkpointPath, lastCheckpointPath, logFolder } from "./delta-log.ts";
import type { DeltaState } from "./delta-state.ts";
import type { DeltaTable } from "./delta-table.ts";

/** Delta's default for `delta.deletedFileRetentionDuration`. */
const tombstoneRetentionMs = 7 * 86_400_000;

/** Writes a checkpoint of the table's newest state, and points `_last_checkpoint` at it. Safe to race. */
export async function writeCheckpoint(store: ObjectStore, table: DeltaTable, nowMs: number): Promise<void> {
  const state = await table.refresh();
  const path = checkpointPath(table.name, state.version);
  const written = await table.checkpoints.write(path, {
    previous: state.base?.paths ?? [],
    changedPaths: [...state.adds.keys(), ...state.removes.keys()],
    actions: checkpointActions(state, nowMs - tombstoneRetentionMs),
    columns: state.metaData ? plainColumns(table.name, state.metaData) : [],
    tombstonesSinceMs: nowMs - tombstoneRetentionMs,
  });
  const { actions: size, addFiles: numOfAddFiles, bytes } = written;
  const hint = { version: state.version, size, sizeInBytes: bytes, numOfAddFiles };
  await store.put(lastCheckpointPath(table.name), encodeJson(hint));
  table.rebase({ version: state.version, paths: [path] });
}

function checkpointActions(state: Readonly<DeltaState>, tombstonesSinceMs: number): DeltaAction[] {
  const actions: DeltaAction[] = [];
  if (state.protocol) actions.push({ protocol: state.protocol });
  if (state.metaData) actions.push({ metaData: state.metaData });
  for (const txn of state.txns.values()) actions.push({ txn });
  for (const domainMetadata of state.domains.values())
    if (!domainMetadata.removed) actions.push({ domainMetadata });
  for (const add of state.adds.values()) actions.push({ add: { ...add, dataChange: false } });
  for (const remove of state.removes.values())
    if ((remove.deletionTimestamp ?? 0) >= tombstonesSinceMs)
      actions.push({ remove: { ...remove, dataChange: false } });
  return actions;
}

/**
 * Deletes log entries and checkpoints that no reader needs for any version younger than `retainMs`: those
 * before the newest checkpoint that is older. Returns their number. Lists the whole log folder, so it is not
 * for the hot path.
 */
export async function cleanLog(
  store: ObjectStore,
  table: string,
  options: { nowMs: number; retainMs: number },
): Promise<number> {
  const cutoffMs = options.nowMs - options.retainMs;
  const files: { path: string; version: number }[] = [];
  let boundary = -1;
  for await (const { path, modifiedAtMs } of store.list(logFolder(table))) {
    const version = /\/(\d{20})\.(json$|checkpoint\.)/.exec(path)?.[1];
    if (version === undefined) continue;
    if (modifiedAtMs >= cutoffMs) break;
    files.push({ path, version: Number(version) });
    if (path.endsWith(".checkpoint.parquet")) boundary = Math.max(boundary, Number(version));
  }
  const expired = files.filter(({ version }) => version < boundary).map(({ path }) => path);
  await deleteObjects(store, expired);
  return expired.length;
}
