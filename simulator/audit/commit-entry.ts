import { SimulatorError } from "../errors.ts";
import { type CommittedLanding, parseLanding } from "./committed-landing.ts";
import { mapOf, number, optionalNumber, record, string } from "./json-fields.ts";
import { type LandedLane, lanes } from "./lanes.ts";

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
  /** Up to format 4, by topic id, or `_quarantine`: the table's name and files. */
  readonly tables: ReadonlyMap<string, TableAdds>;
  /** From format 5 on, by ordinal: files relative to their table's folder. */
  readonly direct: ReadonlyMap<number, readonly CommittedFile[]>;
  /** From format 5 on; null = no rows of the entry are in a landing file. */
  readonly landing: CommittedLanding | null;
  /** The rows of its landing file, once the ordinals of its tables are known. */
  readonly landed: readonly LandedRows[];
  /** By ordinal: tables that the entry names. */
  readonly names: ReadonlyMap<number, NamedTable>;
  /** By ordinal, and in it in the order of `lanes`: up to which commit the table shows everything, at least. */
  readonly settled: ReadonlyMap<number, readonly number[]>;
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

export interface NamedTable {
  /** Topic id. */
  readonly key: string;
  /** Folder. */
  readonly name: string;
}

/** The rows of one table and lane in a landing file. */
export interface LandedRows extends NamedTable {
  readonly lane: LandedLane;
  readonly rows: number;
}

export interface CommittedFile {
  /** Relative to the lake's root, or to the table's folder. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly eventDate: string;
  readonly eventHour: number;
  /** JSON, as for the log of its table; null if the entry has none. */
  readonly statistics: string | null;
}

const counterNames = ["read", "filed", "duplicates", "quarantined", "resent", "misrouted"] as const;

/**
 * Version 1: written by version 0.1.0. 2: closes a log that continues elsewhere. 3: may be upkeep. 4: names
 * the parents of partitions, and drops the moves of replaced partitions. 5: tables have ordinals.
 */
const knownFormats: readonly unknown[] = [1, 2, 3, 4, 5];
/** The purpose of an entry that no batch has written. */
const knownUpkeep: readonly string[] = ["fence", "firstKept", "settled"];

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
    direct: byOrdinal(entry["direct"] ?? {}, "direct", (adds) => parseFiles(adds, "")),
    landing: entry["landing"] === undefined ? null : parseLanding(entry["landing"]),
    landed: [],
    names: byOrdinal(entry["names"] ?? {}, "names", parseName),
    settled: byOrdinal(upkeep["settled"] ?? {}, "settled", parseBound),
  };
}

function byOrdinal<Value>(
  value: unknown,
  what: string,
  parse: (value: unknown) => Value,
): ReadonlyMap<number, Value> {
  const found = Object.entries(record(value, what)).map(([ordinal, item]): [number, Value] => {
    if (!/^\d+$/.test(ordinal)) throw new Error(`${what} has the ordinal ${ordinal}`);
    return [Number(ordinal), parse(item)];
  });
  return new Map(found);
}

function parseName(value: unknown): NamedTable {
  const named = record(value, "a name");
  return { key: string(named["key"], "key"), name: string(named["name"], "name") };
}

function parseBound(value: unknown): readonly number[] {
  if (!Array.isArray(value) || value.length !== lanes.length)
    throw new Error(`a bound is not a list of ${lanes.length}`);
  return value.map((commit) => number(commit, "a bound"));
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
  const files = parseFiles(table["adds"], `${name}/`);
  return { name, files, previousCommit: optionalNumber(table["previousCommit"], "previousCommit") };
}

/** @param folder Prefix of the paths. */
function parseFiles(adds: unknown, folder: string): CommittedFile[] {
  if (!Array.isArray(adds)) throw new Error("adds is not a list");
  return adds.map((item): CommittedFile => {
    const add = record(item, "an add");
    return {
      path: `${folder}${string(add["path"], "path")}`,
      rows: number(add["rows"], "rows"),
      bytes: number(add["bytes"], "bytes"),
      eventDate: string(add["eventDate"], "eventDate"),
      eventHour: number(add["eventHour"], "eventHour"),
      statistics: typeof add["stats"] === "string" ? add["stats"] : null,
    };
  });
}
