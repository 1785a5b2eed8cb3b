import { SimulatorError } from "../errors.ts";

/** A data file that a table's log names. */
export interface DataFile {
  /** Relative to the lake's root. */
  readonly path: string;
  readonly modifiedAtMs: number;
  /** Largest ingest_time of its rows, ms; null where the log doesn't say. */
  readonly maxIngestMs: number | null;
}

/** What one log entry or checkpoint says, as far as an audit needs it. */
export interface DeltaActions {
  readonly adds: readonly DataFile[];
  /** Paths relative to the lake's root. */
  readonly removes: readonly string[];
}

/** The newest reader version of the Delta protocol that the audit implements: without column mapping and deletion vectors. */
const readerVersionMax = 1;

interface RawAction {
  readonly add?: { path?: unknown; modificationTime?: unknown; stats?: unknown } | null;
  readonly remove?: { path?: unknown } | null;
  readonly protocol?: { minReaderVersion?: unknown } | null;
}

/** Reads actions of one table's log. Throws AUDIT_LOG_BROKEN and AUDIT_TABLE_UNSUPPORTED. */
export function readActions(table: string, actions: Iterable<unknown>): DeltaActions {
  const adds: DataFile[] = [];
  const removes: string[] = [];
  for (const action of actions as Iterable<RawAction>) {
    if (action.add) adds.push(dataFile(table, action.add));
    if (action.remove) removes.push(filePath(table, action.remove.path));
    if (action.protocol && Number(action.protocol.minReaderVersion) > readerVersionMax)
      throw new SimulatorError(
        "AUDIT_TABLE_UNSUPPORTED",
        `table ${table} needs Delta reader version ${action.protocol.minReaderVersion}; this audit reads version ${readerVersionMax}`,
        { retryable: false },
      );
  }
  return { adds, removes };
}

/** The actions of a JSON log entry: one object a line. */
export function parseEntry(table: string, name: string, text: string): DeltaActions {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const actions = lines.map((line) => {
    try {
      return JSON.parse(line) as unknown;
    } catch (cause) {
      throw brokenLog(table, `entry ${name} is no JSON`, cause);
    }
  });
  return readActions(table, actions);
}

export function brokenLog(table: string, fault: string, cause?: unknown): SimulatorError {
  return new SimulatorError("AUDIT_LOG_BROKEN", `the Delta log of table ${table}: ${fault}`, {
    retryable: false,
    cause,
  });
}

function dataFile(table: string, add: NonNullable<RawAction["add"]>): DataFile {
  return {
    path: filePath(table, add.path),
    modifiedAtMs: Number(add.modificationTime),
    maxIngestMs: maxIngestMs(add.stats),
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
    throw brokenLog(table, `it names the file ${JSON.stringify(uri)}, which is no URI`, cause);
  }
}

function maxIngestMs(stats: unknown): number | null {
  if (typeof stats !== "string") return null;
  try {
    const { maxValues } = JSON.parse(stats) as { maxValues?: { ingest_time?: unknown } };
    const ms = typeof maxValues?.ingest_time === "string" ? Date.parse(maxValues.ingest_time) : Number.NaN;
    return Number.isNaN(ms) ? null : ms;
  } catch {
    return null;
  }
}
