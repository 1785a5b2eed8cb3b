import { SimulatorError } from "../errors.ts";

/**
 * The content of one file of `_commits/`, as far as an audit needs it. A reader of its own: it shares no code
 * with the writer.
 */
export interface CommitEntry {
  readonly number: number;
  readonly commitId: string;
  readonly committedAtMs: number;
  /** By `<stream>/<partition>`. */
  readonly moves: ReadonlyMap<string, Move>;
  /** By topic id, or `_quarantine`. */
  readonly tables: ReadonlyMap<string, TableAdds>;
  /** The log continues in another place. */
  readonly isMoved: boolean;
  /**
   * The newest entry that the writer knew before it wrote the first file; undefined = the entry does not say.
   */
  readonly filesSince: number | undefined;
  /** Files that were begun before this time, and that no entry names by then, may be deleted. */
  readonly isFence: boolean;
  /** Entries below this number are given up; 0 = the entry does not say. */
  readonly firstKept: number;
}

export interface Move {
  readonly from: string;
  readonly to: string;
  readonly counters: Counters;
  /** Keys of the partitions that it replaced; empty if the entry does not say. */
  readonly parents: readonly string[];
  /** Number of the entry with the move; undefined = the entry does not say. */
  readonly commit: number | undefined;
  /** Number of the entry with the partition's previous move; undefined = the entry does not say. */
  readonly previousCommit: number | undefined;
}

export interface Counters {
  readonly read: number;
  readonly filed: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly resent: number;
  readonly misrouted: number;
}

export interface TableAdds {
  /** Folder. */
  readonly name: string;
  readonly files: readonly CommittedFile[];
  readonly previousCommit: number | undefined;
}

export interface CommittedFile {
  /** Relative to the lake's root. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly eventDate: string;
  readonly eventHour: number;
}

const counterNames = ["read", "filed", "duplicates", "quarantined", "resent", "misrouted"] as const;

/**
 * Version 1: written by version 0.1.0. 2: closes a log that continues elsewhere. 3: may be upkeep. 4: names
 * the parents of partitions, and drops the moves of replaced partitions.
 */
const knownFormats: readonly unknown[] = [1, 2, 3, 4];
/** The purpose of an entry that no batch has written. */
const knownUpkeep: readonly string[] = ["fence", "firstKept"];

/** Parses an entry. Throws the fault, or AUDIT_LAKE_UNSUPPORTED if a newer version wrote the entry. */
export function parseEntry(text: string): CommitEntry {
  const entry = record(JSON.parse(text), "it");
  refuseNewer(entry);
  const upkeep = record(entry["upkeep"] ?? {}, "upkeep");
  return {
    filesSince: optionalNumber(entry["filesSince"], "filesSince"),
    isFence: upkeep["fence"] === true,
    firstKept: optionalNumber(upkeep["firstKept"], "firstKept") ?? 0,
    number: number(entry["number"], "number"),
    commitId: string(entry["commitId"], "commitId"),
    isMoved: entry["movedTo"] !== undefined,
    committedAtMs: entry["movedTo"] === undefined ? number(entry["committedAtMs"], "committedAtMs") : 0,
    moves: parseMoves(entry["moves"] ?? {}),
    tables: mapOf(entry["tables"] ?? {}, "tables", parseTable),
  };
}

function refuseNewer({ number: each, format, upkeep }: Readonly<Record<string, unknown>>): void {
  if (typeof format === "number" && !knownFormats.includes(format))
    throw newer(`commit ${String(each)} has format ${format}`);
  const kinds = typeof upkeep === "object" && upkeep !== null ? Object.keys(upkeep) : [];
  const unknown = kinds.find((kind) => !knownUpkeep.includes(kind));
  if (unknown !== undefined) throw newer(`commit ${String(each)} is upkeep of the kind ${unknown}`);
}

function newer(what: string): SimulatorError {
  const text = `${what}, which this audit does not know: use the \`tidegate audit\` of the version that wrote the lake`;
  return new SimulatorError("AUDIT_LAKE_UNSUPPORTED", text, { retryable: false });
}

/** Throws AUDIT_LAKE_UNSUPPORTED for a snapshot of a newer version. */
export function refuseNewerSnapshot({ number: each, format }: Readonly<Record<string, unknown>>): void {
  if (typeof format === "number" && !knownFormats.includes(format))
    throw newer(`snapshot ${String(each)} has format ${format}`);
}

export function parseMoves(value: unknown): ReadonlyMap<string, Move> {
  const moves = Object.entries(record(value, "moves"));
  return new Map(moves.map(([key, move]) => [key, parseMove(key, move)]));
}

function parseMove(key: string, value: unknown): Move {
  const move = record(value, "a move");
  const parents = move["parents"] ?? [];
  if (!Array.isArray(parents)) throw new Error("parents is not a list");
  const counted = record(move["counters"], "counters");
  const counters = Object.fromEntries(counterNames.map((name) => [name, number(counted[name], name)]));
  return {
    from: string(move["from"], "from"),
    to: string(move["to"], "to"),
    counters: counters as unknown as Counters,
    parents: parents.map((parent) => `${streamOfKey(key)}/${number(parent, "a parent")}`),
    commit: optionalNumber(move["commit"], "commit"),
    previousCommit: optionalNumber(move["previousCommit"], "previousCommit"),
  };
}

/** A partition's key is `<stream>/<partition>`. */
export function streamOfKey(key: string): string {
  return key.slice(0, key.lastIndexOf("/"));
}

function parseTable(value: unknown): TableAdds {
  const table = record(value, "a table");
  const name = string(table["name"], "name");
  const adds = table["adds"];
  if (!Array.isArray(adds)) throw new Error("adds is not a list");
  const files = adds.map((item): CommittedFile => {
    const add = record(item, "an add");
    return {
      path: `${name}/${string(add["path"], "path")}`,
      rows: number(add["rows"], "rows"),
      bytes: number(add["bytes"], "bytes"),
      eventDate: string(add["eventDate"], "eventDate"),
      eventHour: number(add["eventHour"], "eventHour"),
    };
  });
  return { name, files, previousCommit: optionalNumber(table["previousCommit"], "previousCommit") };
}

export function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new Error(`${what} is not an object`);
}

export function mapOf<Value>(
  value: unknown,
  what: string,
  parse: (value: unknown) => Value,
): ReadonlyMap<string, Value> {
  return new Map(Object.entries(record(value, what)).map(([key, item]) => [key, parse(item)]));
}

export function number(value: unknown, what: string): number {
  if (typeof value === "number") return value;
  throw new Error(`${what} is not a number`);
}

function optionalNumber(value: unknown, what: string): number | undefined {
  return value === undefined ? undefined : number(value, what);
}

function string(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new Error(`${what} is not a text`);
}
