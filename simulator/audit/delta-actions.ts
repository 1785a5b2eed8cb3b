import { SimulatorError } from "../errors.ts";
import { laneOf } from "./lane-transactions.ts";
import type { Lane } from "./lanes.ts";
import { parseSchema, type TableSchema } from "./table-schema.ts";

/** A data file that a table's log names. */
export interface DataFile {
  /** Relative to the lake's root. */
  readonly path: string;
  readonly modifiedAtMs: number;
  /** Largest ingest_time of its rows, ms; null if the log does not say. */
  readonly maxIngestMs: number | null;
  /** undefined = the log does not say. */
  readonly rows: number | undefined;
  /** Bytes. */
  readonly size: number;
  readonly partitionValues: Readonly<Record<string, string | null>>;
  /** JSON; null if the log has none. */
  readonly statistics: string | null;
  /** By whom the file was added; null = a checkpoint does not say. */
  readonly addedBy: AddedBy | null;
}

/**
 * By lane: the commit up to which the entry that adds a file shows everything. Empty = the entry is of
 * another writer, or of the gateway's own work on files.
 */
export type AddedBy = ReadonlyMap<Lane, number>;

/** One log entry or checkpoint, as far as an audit needs it. */
export interface DeltaActions {
  readonly adds: readonly DataFile[];
  /** Paths relative to the lake's root. */
  readonly removes: readonly string[];
  /** undefined = the entry does not mention it, null = it cannot be read. */
  readonly schema: TableSchema | null | undefined;
  /** By application id: the version of its last transaction. */
  readonly transactions: ReadonlyMap<string, number>;
}

/**
 * The newest reader version of the Delta protocol that the audit implements: without column mapping and
 * deletion vectors.
 */
const readerVersionMax = 1;

interface RawAction {
  readonly add?: {
    path?: unknown;
    modificationTime?: unknown;
    size?: unknown;
    partitionValues?: Readonly<Record<string, string | null>>;
    stats?: unknown;
  } | null;
  readonly remove?: { path?: unknown } | null;
  readonly metaData?: { schemaString?: unknown; partitionColumns?: unknown } | null;
  readonly protocol?: { minReaderVersion?: unknown } | null;
  readonly txn?: { appId?: unknown; version?: unknown } | null;
}

/**
 * Reads actions of one table's log. For `addedBy`, see there. Throws AUDIT_LOG_BROKEN and
 * AUDIT_TABLE_UNSUPPORTED.
 */
export function readActions(
  table: string,
  actions: Iterable<unknown>,
  addedBy: AddedBy | null,
): DeltaActions {
  const adds: DataFile[] = [];
  const removes: string[] = [];
  const transactions = new Map<string, number>();
  let schema: TableSchema | null | undefined;
  for (const action of actions as Iterable<RawAction>) {
    if (action.add) adds.push(dataFile(table, action.add, addedBy));
    if (action.remove) removes.push(filePath(table, action.remove.path));
    // In checkpoints the number is a bigint.
    if (action.txn) transactions.set(String(action.txn.appId), Number(action.txn.version));
    if (action.metaData) schema = parseSchema(action.metaData.schemaString, action.metaData.partitionColumns);
    if (action.protocol && Number(action.protocol.minReaderVersion) > readerVersionMax)
      throw new SimulatorError(
        "AUDIT_TABLE_UNSUPPORTED",
        `table ${table} needs Delta reader version ${action.protocol.minReaderVersion}; this audit reads version ${readerVersionMax}`,
        { retryable: false },
      );
  }
  return { adds, removes, schema, transactions };
}

/** The actions of a JSON log entry: one object a line. */
export function parseEntry(table: string, name: string, text: string): DeltaActions {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const actions = lines.map((line) => {
    try {
      return JSON.parse(line) as unknown;
    } catch (cause) {
      throw brokenLog(table, `entry ${name} is not JSON`, cause);
    }
  });
  return readActions(table, actions, commitsOf(actions));
}

function commitsOf(actions: readonly unknown[]): AddedBy {
  const commits = new Map<Lane, number>();
  for (const { txn } of actions as readonly RawAction[]) {
    const lane = typeof txn?.appId === "string" ? laneOf(txn.appId) : undefined;
    // The first transaction of a lane counts.
    if (lane && !commits.has(lane)) commits.set(lane, Number(txn?.version));
  }
  return commits;
}

export function brokenLog(table: string, fault: string, cause?: unknown): SimulatorError {
  return new SimulatorError("AUDIT_LOG_BROKEN", `the Delta log of table ${table}: ${fault}`, {
    retryable: false,
    cause,
  });
}

function dataFile(table: string, add: NonNullable<RawAction["add"]>, addedBy: AddedBy | null): DataFile {
  const statistics = statisticsOf(add.stats);
  return {
    path: filePath(table, add.path),
    modifiedAtMs: Number(add.modificationTime),
    maxIngestMs: maxIngestMs(statistics),
    rows: typeof statistics.numRecords === "number" ? statistics.numRecords : undefined,
    // In checkpoints the number is a bigint.
    size: Number(add.size),
    partitionValues: add.partitionValues ?? {},
    statistics: typeof add.stats === "string" ? add.stats : null,
    addedBy,
  };
}

/** Paths in the log are relative URIs. */
function filePath(table: string, uri: unknown): string {
  if (
    typeof uri !== "string" ||
    uri === "" ||
    uri.startsWith("/") ||
    uri.includes(":") ||
    uri.split("/").includes("..")
  )
    throw brokenLog(table, `it names the file ${JSON.stringify(uri)}, which is not in the table's folder`);
  try {
    return `${table}/${decodeURIComponent(uri)}`;
  } catch (cause) {
    throw brokenLog(table, `it names the file ${JSON.stringify(uri)}, which is not a URI`, cause);
  }
}

interface Statistics {
  readonly numRecords?: unknown;
  readonly maxValues?: { readonly ingest_time?: unknown } | null;
}

function statisticsOf(stats: unknown): Statistics {
  if (typeof stats !== "string") return {};
  try {
    return (JSON.parse(stats) as Statistics | null) ?? {};
  } catch {
    return {};
  }
}

function maxIngestMs({ maxValues }: Statistics): number | null {
  const ingestTime = maxValues?.ingest_time;
  const ms = typeof ingestTime === "string" ? Date.parse(ingestTime) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}
