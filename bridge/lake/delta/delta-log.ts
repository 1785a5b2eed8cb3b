import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { numberOfPath } from "../commit-log/lake-format.ts";
import type { ObjectStore } from "../stores/object-store.ts";

/** Paths of a table's log files, and look-ups of those that exist. */

export function logFolder(table: string): string {
  return `${table}/_delta_log/`;
}

function padded(version: number): string {
  return String(version).padStart(20, "0");
}

export function logEntryPath(table: string, version: number): string {
  return `${logFolder(table)}${padded(version)}.json`;
}

export function checkpointPath(table: string, version: number): string {
  return `${logFolder(table)}${padded(version)}.checkpoint.parquet`;
}

export function lastCheckpointPath(table: string): string {
  return `${logFolder(table)}_last_checkpoint`;
}

/** A checkpoint: one Parquet file, or all parts of one that another writer made. */
export interface CheckpointFile {
  readonly version: number;
  readonly paths: readonly string[];
}

const hintSchema = Type.Object({
  version: Type.Integer({ minimum: 0 }),
  parts: Type.Optional(Type.Union([Type.Integer({ minimum: 1 }), Type.Null()])),
});

/**
 * The checkpoint that `_last_checkpoint` names. Null if that file is missing or invalid, because it is only a
 * hint.
 */
export async function hintedCheckpoint(store: ObjectStore, table: string): Promise<CheckpointFile | null> {
  const bytes = await store.get(lastCheckpointPath(table));
  if (bytes === null) return null;
  let hint: unknown;
  try {
    hint = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return null;
  }
  if (!Value.Check(hintSchema, hint)) return null;
  const { version, parts } = hint;
  const paths: string[] = [];
  for await (const { path } of store.list(`${logFolder(table)}${padded(version)}.checkpoint.`))
    paths.push(path);
  return completeCheckpoint(version, paths, parts ?? undefined);
}

/** The single file if there is one, otherwise all parts if they are complete. */
function completeCheckpoint(
  version: number,
  paths: readonly string[],
  parts: number | undefined,
): CheckpointFile | null {
  const single = paths.find((path) => path.endsWith(`${padded(version)}.checkpoint.parquet`));
  if (single && parts === undefined) return { version, paths: [single] };
  const ofParts = paths.filter((path) => /\.checkpoint\.\d{10}\.\d{10}\.parquet$/.test(path));
  const count = parts ?? Number(/\.(\d{10})\.parquet$/.exec(ofParts[0] ?? "")?.[1] ?? 0);
  const sameCount = ofParts.filter((path) => Number(/\.(\d{10})\.parquet$/.exec(path)?.[1]) === count);
  return count > 0 && sameCount.length === count ? { version, paths: sameCount } : null;
}

/** The newest complete checkpoint by listing, for a table without a hint. */
export async function listedCheckpoint(store: ObjectStore, table: string): Promise<CheckpointFile | null> {
  const byVersion = new Map<number, string[]>();
  for await (const { path } of store.list(logFolder(table))) {
    const version = /\/(\d{20})\.checkpoint\./.exec(path)?.[1];
    if (version === undefined) continue;
    byVersion.set(Number(version), [...(byVersion.get(Number(version)) ?? []), path]);
  }
  const versions = [...byVersion.keys()].sort((left, right) => right - left);
  for (const version of versions) {
    const complete = completeCheckpoint(version, byVersion.get(version) ?? [], undefined);
    if (complete) return complete;
  }
  return null;
}

/** The path of the entry that is missing after `version` although later ones exist; null if there is none. */
export async function logHole(store: ObjectStore, table: string, version: number): Promise<string | null> {
  const next = logEntryPath(table, version + 1);
  const after = version < 0 ? {} : { after: logEntryPath(table, version) };
  for await (const { path } of store.list(logFolder(table), after)) {
    if (path === next || (await store.get(next)) !== null) return null;
    if (numberOfPath(path) !== null) return next;
  }
  return null;
}

/** Whether a checkpoint newer than `version` exists. If so, the entries after `version` may be gone. */
export async function hasNewerCheckpoint(
  store: ObjectStore,
  table: string,
  version: number,
): Promise<boolean> {
  const after = version < 0 ? {} : { after: logEntryPath(table, version) };
  for await (const { path } of store.list(logFolder(table), after))
    if (/\/\d{20}\.checkpoint\./.test(path)) return true;
  return false;
}

/**
 * How often to check that a log still has its beginning. A store without folders accepts later entries for a
 * deleted log, which nobody can read.
 */
const lookAtBeginningAfterMs = 60_000;

/** The first entry of a table's log, or the checkpoint in its place. */
export class LogBeginning {
  readonly #store: ObjectStore;
  readonly #table: string;
  seenAtMs = 0;

  constructor(store: ObjectStore, table: string) {
    this.#store = store;
    this.#table = table;
  }

  /**
   * Returns `known`; undefined if the log is gone and the table has to be read again. Asks the store only
   * from time to time.
   */
  async ifThere<State extends { readonly version: number; readonly base: CheckpointFile | null }>(
    known: State | undefined,
    now: number,
  ): Promise<State | undefined> {
    if (!known || known.version < 0 || Math.abs(now - this.seenAtMs) < lookAtBeginningAfterMs) return known;
    const first = known.base
      ? await hintedCheckpoint(this.#store, this.#table)
      : await this.#store.get(logEntryPath(this.#table, 0));
    if (first === null) return undefined;
    this.seenAtMs = now;
    return known;
  }
}
