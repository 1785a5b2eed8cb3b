import { randomUUID } from "node:crypto";
import { type DeltaAction, decodePath } from "../delta/delta-actions.ts";
import type { DeltaState } from "../delta/delta-state.ts";
import { retentionId } from "../delta/lane-transactions.ts";
import { type ExpiredFile, expiredFile, type FileBound } from "./expired-files.ts";

const hourMs = 3_600_000;

/** Files below it are removed. */
export interface RetentionBound extends FileBound {
  readonly lakeId: string;
  /** The present time by the store's clock: the age of removed files counts by it. */
  readonly storeMs: number;
}

/**
 * Of these files, those that the table still shows. The state must have the checkpoint from which they were
 * found.
 */
export function stillShown(
  { adds, removes }: Pick<DeltaState, "adds" | "removes">,
  files: readonly ExpiredFile[],
  bound: FileBound,
): ExpiredFile[] {
  return files.flatMap((file) => {
    const path = decodePath(file.path);
    if (removes.has(path)) return [];
    const add = adds.get(path);
    // Another writer may have replaced its deletion vector since.
    return (add ? expiredFile(add, bound) : file) ?? [];
  });
}

/** Actions of the entry that removes these files from the table. */
export function retentionEntry(
  { txns }: Pick<DeltaState, "txns">,
  files: readonly ExpiredFile[],
  { lakeId, belowHour, storeMs }: RetentionBound,
): DeltaAction[] {
  const appId = retentionId(lakeId);
  const version = Math.max(belowHour, txns.get(appId)?.version ?? 0);
  return [
    { commitInfo: commitInfo(files, belowHour, storeMs) },
    { txn: { appId, version, lastUpdated: storeMs } },
    ...files.map(({ path, partitionValues, size, deletionVector }) => ({
      remove: {
        path,
        deletionTimestamp: storeMs,
        dataChange: true,
        extendedFileMetadata: true,
        partitionValues,
        size,
        ...(deletionVector && { deletionVector }),
      },
    })),
  ];
}

function commitInfo(files: readonly ExpiredFile[], belowHour: number, storeMs: number) {
  const sum = (of: (file: ExpiredFile) => number) =>
    String(files.reduce((total, file) => total + of(file), 0));
  const before = new Date(belowHour * hourMs).toISOString();
  return {
    timestamp: storeMs,
    operation: "DELETE",
    operationParameters: { predicate: `event hour before ${before} (retention)` },
    operationMetrics: {
      numRemovedFiles: String(files.length),
      numRemovedBytes: sum(({ size }) => size),
      numDeletedRows: sum(({ rows }) => rows),
    },
    isBlindAppend: false,
    engineInfo: "tidegate",
    txnId: randomUUID(),
  };
}
