import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { numberOfPath } from "../lake-format.ts";
import type { ObjectStore } from "../object-store.ts";

/** Names of a table's log files, and which of them there are. */

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

/** A checkpoint: one Parquet file, or the parts of one that another writer made. */
export interface CheckpointFile {
  readonly version: number;
  readonly paths: readonly string[];
}

const hintSchema = Type.Object({
  version: Type.Integer({ minimum: 0 }),
  parts: Type.Optional(Type.Union([Type.Integer({ minimum: 1 }), Type.Null()])),
});

/** What `_last_checkpoint` points at; null where it is missing or says nothing: it is only a hint. */
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

/** The single file if there is one, else all parts if they are complete. */
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

/** The entry that is missing after `version` although later ones exist; null = none is. */
export async function logHole(store: ObjectStore, table: string, version: number): Promise<string | null> {
  const next = logEntryPath(table, version + 1);
  const after = version < 0 ? {} : { after: logEntryPath(table, version) };
  for await (const { path } of store.list(logFolder(table), after)) {
    if (path === next || (await store.get(next)) !== null) return null;
    if (numberOfPath(path) !== null) return next;
  }
  return null;
}

/** True if there is a checkpoint newer than `version`, so that the entries after it may be gone. */
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
