import { BridgeError } from "../../errors.ts";
import type { LandedSource, RowFiles, RowRound } from "../landing/row-files.ts";

export interface StagedRows {
  readonly round: RowRound;
  /** By number of the commit: why its landing file can't be read. */
  readonly unreadable: ReadonlyMap<number, unknown>;
}

/** A round without landed rows. */
export const noLandedRows: RowRound = { write: async () => [], close: async () => {} };

/**
 * Stages these landing files, without those that can't be read. They are found by staging smaller and smaller
 * parts. Rejects with the errors of the port that no single file is the cause of.
 */
export async function stageReadable(
  rowFiles: RowFiles,
  sources: readonly LandedSource[],
): Promise<StagedRows> {
  const unreadable = new Map<number, unknown>();
  for (;;) {
    const readable = sources.filter(({ commit }) => !unreadable.has(commit));
    if (readable.length === 0) return { round: noLandedRows, unreadable };
    try {
      return { round: await rowFiles.open(readable), unreadable };
    } catch (error) {
      if (!isOfFile(error)) throw error;
      const known = unreadable.size;
      const named = readable.find(({ path }) => path === pathOf(error));
      if (named) unreadable.set(named.commit, error);
      else await search(rowFiles, readable, error, unreadable);
      if (unreadable.size === known) throw error;
    }
  }
}

/** @param error Why these files can't be staged together. */
async function search(
  rowFiles: RowFiles,
  sources: readonly LandedSource[],
  error: unknown,
  unreadable: Map<number, unknown>,
): Promise<void> {
  const [first] = sources;
  if (first && sources.length === 1) unreadable.set(first.commit, named(error, first));
  if (sources.length < 2) return;
  const half = Math.ceil(sources.length / 2);
  for (const part of [sources.slice(0, half), sources.slice(half)]) {
    try {
      await (await rowFiles.open(part)).close();
    } catch (fault) {
      if (!isOfFile(fault)) throw fault;
      await search(rowFiles, part, fault, unreadable);
    }
  }
}

function isOfFile(error: unknown): boolean {
  return error instanceof BridgeError && (error.code === "LAKE_DAMAGED" || error.code === "PARQUET_FAILED");
}

function pathOf(error: unknown): unknown {
  return error instanceof BridgeError ? error.details["path"] : undefined;
}

function named(error: unknown, { path }: LandedSource): BridgeError {
  const text = error instanceof Error ? error.message : String(error);
  return new BridgeError("LAKE_DAMAGED", `${path} can't be read: ${text}`, {
    retryable: true,
    cause: error,
    details: { path },
  });
}
