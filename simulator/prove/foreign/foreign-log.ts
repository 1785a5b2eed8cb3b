// Delta logs as another writer reads and writes them (PROTOCOL.md of delta-io/delta). The code is the proof's
// own.

import type { LakeAccess } from "../lake-access.ts";
import { readObjects } from "./foreign-parquet.ts";

export interface LiveFile {
  /** As the log has it: relative to the table's folder. */
  readonly path: string;
  readonly partitionValues: Readonly<Record<string, string | null>>;
  readonly size: number;
  readonly stats?: string;
}

export interface Protocol {
  readonly minReaderVersion: number;
  readonly minWriterVersion: number;
  readonly readerFeatures?: readonly string[];
  readonly writerFeatures?: readonly string[];
}

export interface MetaData {
  readonly schemaString: string;
  readonly configuration: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export interface Action {
  readonly commitInfo?: Readonly<Record<string, unknown>>;
  readonly txn?: { readonly appId: string; readonly version: number };
  readonly protocol?: Protocol;
  readonly metaData?: MetaData;
  readonly add?: LiveFile & { readonly dataChange: boolean; readonly modificationTime: number };
  readonly remove?: {
    readonly path: string;
    readonly dataChange: boolean;
    readonly deletionTimestamp: number;
  };
}

const entryPattern = /\/(\d{20})\.json$/;
/** In one file or in parts. */
const checkpointPattern = /\/(\d{20})\.checkpoint(?:\.\d{10}\.(\d{10}))?\.parquet$/;
const attemptsMax = 200;
const recentEntries = 20;

/** The state of a table at a version. */
export interface TableHead {
  readonly version: number;
  readonly metaData: MetaData;
  readonly protocol: Protocol;
}

export interface RecentLog extends TableHead {
  /** Files that were added by the last entries and not removed since. */
  readonly files: readonly LiveFile[];
}

interface LogNames {
  /** In order. */
  readonly versions: readonly number[];
  /** The newest whole one. */
  readonly checkpoint: { readonly version: number; readonly paths: readonly string[] } | null;
}

/** The parts of a log that were read before, by version: neither entries nor checkpoints change. */
class KnownLog {
  readonly entries = new Map<number, Action[]>();
  readonly heads = new Map<number, Action[]>();
}

function entryPath(table: string, version: number): string {
  return `${table}/_delta_log/${String(version).padStart(20, "0")}.json`;
}

/** @param upTo Later entries and checkpoints are passed over. */
async function listLog(lake: LakeAccess, table: string, upTo: number): Promise<LogNames> {
  const names = await lake.list(`${table}/_delta_log/`);
  const versions = names.flatMap((name) => entryPattern.exec(name)?.[1] ?? []).map(Number);
  const parts = new Map<number, { paths: string[]; count: number }>();
  for (const path of names) {
    const match = checkpointPattern.exec(path);
    if (!match) continue;
    const found = parts.get(Number(match[1])) ?? { paths: [], count: Number(match[2] ?? 1) };
    found.paths.push(path);
    parts.set(Number(match[1]), found);
  }
  const whole = [...parts].filter(([version, { paths, count }]) => version <= upTo && paths.length === count);
  const [version, newest] = whole.sort(([one], [other]) => other - one)[0] ?? [];
  return {
    versions: versions.filter((each) => each <= upTo),
    checkpoint: version === undefined || !newest ? null : { version, paths: newest.paths },
  };
}

/** null if there is no such table. */
async function readRecentLog(
  lake: LakeAccess,
  table: string,
  { known = new KnownLog(), upTo = Number.POSITIVE_INFINITY } = {},
): Promise<RecentLog | null> {
  const { versions, checkpoint } = await listLog(lake, table, upTo);
  const version = versions.at(-1);
  if (version === undefined) return null;
  const files = new Map<string, LiveFile>();
  let { metaData, protocol } = headOf(await checkpointHead(lake, checkpoint, known));
  const base = checkpoint?.version ?? -1;
  for (const each of versions.filter((one) => one > base || one > version - recentEntries)) {
    const actions = known.entries.get(each) ?? (await readEntry(lake, table, each));
    known.entries.set(each, actions);
    for (const { add, remove } of actions) {
      if (add) files.set(add.path, add);
      if (remove) files.delete(remove.path);
    }
    if (each <= base) continue;
    const head = headOf(actions);
    metaData = head.metaData ?? metaData;
    protocol = head.protocol ?? protocol;
  }
  // Entries may be cleaned up between two of these calls.
  if (!metaData || !protocol) return null;
  return { version, metaData, protocol, files: [...files.values()] };
}

async function checkpointHead(
  lake: LakeAccess,
  checkpoint: LogNames["checkpoint"],
  known: KnownLog,
): Promise<Action[]> {
  if (!checkpoint) return [];
  const before = known.heads.get(checkpoint.version);
  if (before) return before;
  const parts = await Promise.all(checkpoint.paths.map((path) => lake.get(path)));
  const bytes = parts.flatMap((part) => part ?? []);
  const rows = bytes.length === 0 ? [] : await readObjects(bytes, ["metaData", "protocol"]);
  const actions = rows.map((row) => withoutNulls(row) as Action);
  known.heads.set(checkpoint.version, actions);
  return actions;
}

/** A checkpoint has a place for every field; an entry leaves out those that say nothing. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value) || typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(fields.map(([name, field]) => [name, withoutNulls(field)]));
}

function headOf(actions: readonly Action[]): Pick<Action, "metaData" | "protocol"> {
  const metaData = actions.findLast((action) => action.metaData)?.metaData;
  const protocol = actions.findLast((action) => action.protocol)?.protocol;
  return { ...(metaData && { metaData }), ...(protocol && { protocol }) };
}

async function readEntry(lake: LakeAccess, table: string, version: number): Promise<Action[]> {
  const bytes = await lake.get(entryPath(table, version));
  const lines = bytes === null ? [] : bytes.toString("utf8").split("\n");
  return lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line) as Action);
}

/** The state of the table at that version; null if its log does not hold that version any more. */
export async function tableHeadAt(
  lake: LakeAccess,
  table: string,
  version: number,
): Promise<TableHead | null> {
  const head = await readRecentLog(lake, table, { upTo: version });
  return head?.version === version ? head : null;
}

/**
 * Creates the next entry of a table. `actionsFor` makes it from the state of the log. If another writer was
 * faster, this is repeated from the beginning. Resolves with the version of the entry; null if `actionsFor`
 * returns null.
 */
export async function appendEntry(
  lake: LakeAccess,
  table: string,
  actionsFor: (log: RecentLog) => Promise<readonly Action[] | null>,
): Promise<number | null> {
  const known = new KnownLog();
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const log = await readRecentLog(lake, table, { known });
    const actions = log && (await actionsFor(log));
    if (!log || !actions) return null;
    const text = actions.map((action) => JSON.stringify(action)).join("\n");
    if (await lake.putIfAbsent(entryPath(table, log.version + 1), Buffer.from(`${text}\n`)))
      return log.version + 1;
  }
  throw new Error(`table ${table}: ${attemptsMax} other entries came first, one after another`);
}

/** Says who wrote an entry, and why. */
export function commitInfo(operation: string): Action {
  return { commitInfo: { timestamp: Date.now(), operation, engineInfo: "tidegate prove, foreign writer" } };
}
