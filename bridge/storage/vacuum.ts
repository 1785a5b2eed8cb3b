import type { Logger } from "pino";
import { BridgeError } from "../errors.ts";
import { QUARANTINE } from "./commit-log.ts";
import { deleteObjects } from "./delete-objects.ts";
import { logFolder } from "./delta/delta-log.ts";
import { DeltaTable, decodePath } from "./delta/delta-table.ts";
import type { LakeCommitLog } from "./lake-commit-log.ts";
import type { ObjectStore, StoredObject } from "./object-store.ts";
import type { LakeTopicCatalog } from "./topic-versions.ts";

const dayMs = 86_400_000;
/** A batch is given up after 1 h, so a file this old that no commit names never will be. */
const olderThanMinMs = dayMs;
const seedableMs = 7 * dayMs;

export interface VacuumOptions {
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly topics: LakeTopicCatalog;
  readonly logger: Logger;
  /** Only files older than this are deleted; at least 24 h. */
  readonly olderThanMs?: number;
  /** Counts what would go, and deletes nothing. */
  readonly isDryRun?: boolean;
  readonly now?: () => number;
}

export interface VacuumReport {
  /** Data files looked at. */
  readonly files: number;
  /** Files (and their bytes) that no commit and no table names: deleted, unless it was a dry run. */
  readonly orphans: number;
  readonly orphanBytes: number;
}

/**
 * Deletes data files that batches wrote and no commit took, and files that tables replaced longer ago than any window or reader looks
 * back. Never a file that a commit entry names. Rejects with VACUUM_TOO_SOON for less than 24 h.
 */
export async function vacuum(options: VacuumOptions): Promise<VacuumReport> {
  const { store, commitLog, logger, olderThanMs = olderThanMinMs, now = Date.now } = options;
  if (!(olderThanMs >= olderThanMinMs))
    throw new BridgeError(
      "VACUUM_TOO_SOON",
      "files younger than 24 h may still be committed: ask for 24 h or more",
      {
        retryable: false,
      },
    );
  const state = await commitLog.load();
  const known = [...state.tables.values(), ...options.topics.definitions()];
  const names = new Set([QUARANTINE, ...known.map(({ name }) => name)]);
  const report = { files: 0, orphans: 0, orphanBytes: 0 };
  const candidates = new Map<string, StoredObject>();
  for (const name of names) await findUnnamed(options, name, now() - olderThanMs, { candidates, report });
  if (candidates.size > 0) await keepCommitted(commitLog, state.number, candidates);
  for (const { bytes } of candidates.values()) {
    report.orphans++;
    report.orphanBytes += bytes;
  }
  if (!options.isDryRun) {
    await deleteObjects(store, [...candidates.keys()]);
    await store.removeLeftovers();
  }
  logger.info({ event: "vacuum.done", isDryRun: options.isDryRun ?? false, ...report }, "unreferenced files");
  return report;
}

/** Old data files of a table that its log doesn't name. */
async function findUnnamed(
  { store, topics, now = Date.now }: VacuumOptions,
  name: string,
  beforeMs: number,
  found: { candidates: Map<string, StoredObject>; report: { files: number } },
): Promise<void> {
  const table = new DeltaTable(store, name);
  const state = await table.refresh();
  const named = new Set((await table.files()).map(({ path }) => decodePath(path)));
  const replacedSinceMs = now() - Math.max(seedableMs, topics.longestWindowMs()) - dayMs;
  for (const { path, deletionTimestamp } of await table.tombstones())
    if ((deletionTimestamp ?? 0) >= replacedSinceMs) named.add(decodePath(path));
  for await (const object of store.list(`${name}/`)) {
    if (object.path.startsWith(logFolder(name)) || !object.path.endsWith(".parquet")) continue;
    found.report.files++;
    const isNamed = state.version >= 0 && named.has(object.path.slice(name.length + 1));
    if (!isNamed && object.modifiedAtMs < beforeMs) found.candidates.set(object.path, object);
  }
}

/** Takes from the candidates what any kept commit entry names: it may be unpublished, or be needed to seed a window. */
async function keepCommitted(
  commitLog: LakeCommitLog,
  newest: number,
  candidates: Map<string, StoredObject>,
): Promise<void> {
  for (let number = newest; number > 0 && candidates.size > 0; number--) {
    const entry = await commitLog.entry(number);
    if (entry === null) return;
    for (const { name, adds } of Object.values(entry.tables))
      for (const { path } of adds) candidates.delete(`${name}/${path}`);
  }
}
