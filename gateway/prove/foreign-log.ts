// Delta logs as another writer reads and writes them (PROTOCOL.md of delta-io/delta), by code of the proof's own.
import type { LakeAccess } from "./lake-access.ts";

export interface LiveFile {
  /** As the log has it: relative to the table's folder. */
  readonly path: string;
  readonly partitionValues: Readonly<Record<string, string | null>>;
  readonly size: number;
  readonly stats?: string;
}

export interface Action {
  readonly commitInfo?: Readonly<Record<string, unknown>>;
  readonly txn?: { readonly appId: string; readonly version: number };
  readonly metaData?: Readonly<Record<string, unknown>>;
  readonly add?: LiveFile & { readonly dataChange: boolean; readonly modificationTime: number };
  readonly remove?: {
    readonly path: string;
    readonly dataChange: boolean;
    readonly deletionTimestamp: number;
  };
}

const entryPattern = /\/(\d{20})\.json$/;
const attemptsMax = 200;
const recentEntries = 20;

/** What the entries since some version say of a table: of older ones only what they repeat. */
export interface RecentLog {
  readonly version: number;
  readonly metaData: Readonly<Record<string, unknown>> | null;
  /** Files that were added there and not removed since. */
  readonly files: readonly LiveFile[];
}

function entryPath(table: string, version: number): string {
  return `${table}/_delta_log/${String(version).padStart(20, "0")}.json`;
}

/**
 * null if there is no such table. Entries that a checkpoint has replaced may be gone; that is all a rewrite of recent files needs.
 *
 * @param known Entries that were read before, by version: entries never change.
 */
async function readRecentLog(
  lake: LakeAccess,
  table: string,
  known: Map<number, Action[]>,
): Promise<RecentLog | null> {
  const names = await lake.list(`${table}/_delta_log/`);
  const versions = names.flatMap((name) => entryPattern.exec(name)?.[1] ?? []).map(Number);
  const version = versions.at(-1);
  if (version === undefined) return null;
  const files = new Map<string, LiveFile>();
  let metaData: RecentLog["metaData"] = null;
  // The oldest entry that is left has the metadata, unless a checkpoint has.
  for (const each of new Set([...versions.slice(0, 1), ...versions.slice(-recentEntries)])) {
    const actions = known.get(each) ?? (await readEntry(lake, table, each));
    known.set(each, actions);
    for (const action of actions) {
      if (action.metaData) metaData = action.metaData;
      if (action.add) files.set(action.add.path, action.add);
      if (action.remove) files.delete(action.remove.path);
    }
  }
  return { version, metaData, files: [...files.values()] };
}

async function readEntry(lake: LakeAccess, table: string, version: number): Promise<Action[]> {
  const bytes = await lake.get(entryPath(table, version));
  const lines = bytes === null ? [] : bytes.toString("utf8").split("\n");
  return lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line) as Action);
}

/**
 * Creates the next entry of a table, made by `actionsFor` from what the log then says; again from the beginning where another writer was
 * faster. Resolves with its version, null where `actionsFor` returns null.
 */
export async function appendEntry(
  lake: LakeAccess,
  table: string,
  actionsFor: (log: RecentLog) => Promise<readonly Action[] | null>,
): Promise<number | null> {
  const known = new Map<number, Action[]>();
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const log = await readRecentLog(lake, table, known);
    const actions = log && (await actionsFor(log));
    if (!log || !actions) return null;
    const text = actions.map((action) => JSON.stringify(action)).join("\n");
    if (await lake.putIfAbsent(entryPath(table, log.version + 1), Buffer.from(`${text}\n`)))
      return log.version + 1;
  }
  throw new Error(`table ${table}: ${attemptsMax} other entries came first, one after another`);
}
