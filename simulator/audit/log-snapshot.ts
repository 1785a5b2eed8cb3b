import {
  type CommitEntry,
  type Move,
  type NamedTable,
  parseMoves,
  refuseNewerSnapshot,
  streamOfKey,
} from "./commit-entry.ts";
import { mapOf, number, record } from "./json-fields.ts";
import { type Lane, type LaneNumbers, lanes, numberOfLane } from "./lanes.ts";

/** Of a partition that has ended. */
const endPosition = "end";

/** The sum of the commit log up to an entry. */
export interface Snapshot {
  readonly number: number;
  readonly firstKept: number;
  /** Number of the last fence; undefined = the snapshot does not say. */
  readonly fence: number | undefined;
  /** By partition: its last move. */
  readonly moves: ReadonlyMap<string, Move>;
  /**
   * By stream: runs of ended partitions whose moves are given up, because all their successors have begun.
   */
  readonly past: ReadonlyMap<string, readonly (readonly [first: number, last: number])[]>;
  /** By topic id: the last commit that brought rows to its table, by lane. */
  readonly lastCommits: ReadonlyMap<string, LaneNumbers>;
  /** By ordinal; those that an entry has named. */
  readonly ordinals: ReadonlyMap<number, NamedTable>;
  readonly settled: ReadonlyMap<number, LaneNumbers>;
}

/** Throws the fault, or AUDIT_LAKE_UNSUPPORTED for a snapshot of a newer version. */
export function parseSnapshot(text: string): Snapshot {
  const snapshot = record(JSON.parse(text), "it");
  refuseNewerSnapshot(snapshot);
  const tables = mapOf(snapshot["tables"], "tables", parseTable);
  const numbered = [...tables].flatMap(([key, { ordinal, ...table }]) =>
    ordinal === null ? [] : [[ordinal, { ...table, key }] as const],
  );
  return {
    number: number(snapshot["number"], "number"),
    firstKept: number(snapshot["firstKept"], "firstKept"),
    fence: snapshot["fence"] === undefined ? undefined : number(snapshot["fence"], "fence"),
    moves: parseMoves(snapshot["moves"]),
    past: mapOf(snapshot["past"] ?? {}, "past", parseRuns),
    lastCommits: new Map([...tables].map(([key, { last }]) => [key, last])),
    ordinals: new Map(numbered.map(([ordinal, { key, name }]) => [ordinal, { key, name }])),
    settled: new Map(numbered.map(([ordinal, { settled }]) => [ordinal, settled])),
  };
}

/** Up to format 4, tables have one lane, and neither ordinals nor bounds. */
function parseTable(value: unknown) {
  const table = record(value, "a table");
  const name = String(table["name"]);
  if (table["lastCommit"] !== undefined)
    return { name, ordinal: null, last: [number(table["lastCommit"], "lastCommit")], settled: [] };
  return {
    name,
    ordinal: table["ordinal"] === null ? null : number(table["ordinal"], "ordinal"),
    last: parseLanes(table["last"], "last"),
    settled: parseLanes(table["settled"], "settled"),
  };
}

function parseLanes(value: unknown, what: string): LaneNumbers {
  const byLane = record(value, what);
  return lanes.map((lane) => number(byLane[lane], lane));
}

function parseRuns(past: unknown): (readonly [number, number])[] {
  const runs = record(past, "a past")["ranges"];
  if (!Array.isArray(runs)) throw new Error("ranges is not a list");
  return runs.map(([first, last]) => [number(first, "a first partition"), number(last, "a last partition")]);
}

/** The end of a partition according to the snapshot; undefined = the snapshot does not know the partition. */
function endIn({ moves, past }: Snapshot, key: string): string | undefined {
  const move = moves.get(key);
  if (move) return move.to;
  const partition = Number(key.slice(key.lastIndexOf("/") + 1));
  const isPast = past.get(streamOfKey(key))?.some(([first, last]) => first <= partition && partition <= last);
  return isPast ? endPosition : undefined;
}

/** A snapshot holds the sum of the entries up to its number. */
export function snapshotFaults(snapshot: Snapshot, entries: readonly CommitEntry[]): string[] {
  const ends = new Map<string, string>();
  let [fence, firstKept] = [0, 0];
  for (const entry of entries) {
    const { number: each, moves } = entry;
    if (each > snapshot.number) break;
    if (entry.isFence) fence = each;
    firstKept = Math.max(firstKept, entry.firstKept);
    for (const [partition, { to }] of moves) ends.set(partition, to);
  }
  const faults: string[] = [];
  const said = (what: string) => `snapshot ${snapshot.number} says ${what}, its entries do not`;
  for (const [partition, to] of ends)
    if (endIn(snapshot, partition) !== to)
      faults.push(said(`that ${partition} ended at ${endIn(snapshot, partition)}`));
  for (const [partition, { to, parents }] of snapshot.moves)
    for (const parent of to === "" ? parents : [])
      if (!snapshot.moves.has(parent) && endIn(snapshot, parent) !== undefined)
        faults.push(`snapshot ${snapshot.number} gives up ${parent}, and ${partition} continues it`);
  faults.push(...lastFaults(snapshot, entries), ...tableFaults(snapshot, entries));
  if (fence > 0 && snapshot.fence !== undefined && snapshot.fence !== fence)
    faults.push(said(`that ${snapshot.fence} is the last fence`));
  if (snapshot.firstKept < firstKept) faults.push(said(`that ${snapshot.firstKept} is the first entry`));
  return faults;
}

/** The last commits of tables, by lane, that are not those of the entries. */
function lastFaults(snapshot: Snapshot, entries: readonly CommitEntry[]): string[] {
  const last = new Map<Lane, Map<string, number>>(lanes.map((lane) => [lane, new Map()]));
  for (const { number: each, tables, landed } of entries) {
    if (each > snapshot.number) break;
    for (const key of tables.keys()) last.get("direct")?.set(key, each);
    for (const { key, lane } of landed) last.get(lane)?.set(key, each);
  }
  const faults: string[] = [];
  for (const [lane, ofLane] of last)
    for (const [key, commit] of ofLane) {
      const known = snapshot.lastCommits.get(key);
      const said = known && numberOfLane(known, lane);
      const what = lane === "direct" ? `touched ${key} last` : `landed rows of ${key} last in lane ${lane}`;
      if (said !== commit)
        faults.push(`snapshot ${snapshot.number} says that ${said} ${what}, its entries do not`);
    }
  return faults;
}

/** What the snapshot says of tables, and its entries do not. */
function tableFaults(snapshot: Snapshot, entries: readonly CommitEntry[]): string[] {
  const faults: string[] = [];
  const said = (what: string) => `snapshot ${snapshot.number} says ${what}, its entries do not`;
  for (const entry of entries) {
    if (entry.number > snapshot.number) break;
    for (const [ordinal, { key, name }] of entry.names)
      if (snapshot.ordinals.get(ordinal)?.key !== key)
        faults.push(said(`that table ${ordinal} is ${snapshot.ordinals.get(ordinal)?.name}, not ${name}`));
    for (const [ordinal, bound] of entry.settled)
      if (bound.some((commit, lane) => (snapshot.settled.get(ordinal)?.[lane] ?? 0) < commit))
        faults.push(said(`that table ${ordinal} is settled up to ${snapshot.settled.get(ordinal)}`));
  }
  return faults;
}
