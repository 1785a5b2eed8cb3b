import { SimulatorError } from "../errors.ts";
import { chainFaults } from "./commit-chain.ts";
import {
  type CommitEntry,
  type Move,
  mapOf,
  number,
  parseEntry,
  parseMoves,
  record,
  refuseNewerSnapshot,
  streamOfKey,
} from "./commit-entry.ts";
import { type LakeFiles, readWhole } from "./lake-files.ts";

const folder = "_commits";
const lakeFile = `${folder}/lake.json`;
const entryPattern = /^(\d{20})\.json$/;
/**
 * This many consecutive entries from before the requested time end the reading: clocks of gateways may step.
 */
const olderMax = 100;
/** Of a partition that has ended. */
const endPosition = "end";
/** Listing and reading race with commits and pruning. */
const attempts = 3;

/** The commit log since a given time. */
export interface CommitLogState {
  /** null = no lake file: the audit judges the folder by its tables alone. */
  readonly lakeId: string | null;
  /** Consecutive entries, in order. */
  readonly entries: readonly CommitEntry[];
  /** True if those entries are the whole log. */
  readonly isWhole: boolean;
  readonly faults: readonly string[];
}

/** The commit log of a lake, read without the writer's code. */
export class CommitLog {
  readonly #lake: LakeFiles;
  readonly #sinceMs: number;
  readonly #entries = new Map<number, CommitEntry>();

  /** Entries from before `sinceMs` are not read, though their names must exist. */
  constructor(lake: LakeFiles, sinceMs: number) {
    this.#lake = lake;
    this.#sinceMs = sinceMs;
  }

  async read(): Promise<CommitLogState> {
    const bytes = await readWhole(this.#lake, lakeFile);
    if (bytes === null) return { lakeId: null, entries: [], isWhole: false, faults: [] };
    const { lakeId } = record(JSON.parse(bytes.toString("utf8")), lakeFile);
    for (let attempt = 1; ; attempt++) {
      const state = await this.#readOnce(String(lakeId));
      if (state.faults.length === 0 || attempt === attempts) return state;
    }
  }

  async #readOnce(lakeId: string): Promise<CommitLogState> {
    const snapshots = numbersOf(await this.#lake.list(`${folder}/snapshots`));
    const numbers = numbersOf(await this.#lake.list(folder));
    const faults: string[] = [];
    const snapshot = await this.#snapshot(snapshots.at(-1), faults);
    const firstKept = snapshot?.firstKept ?? 1;
    const newest = Math.max(0, snapshot?.number ?? 0, numbers.at(-1) ?? 0);
    faults.push(...holes(numbers, firstKept, newest));
    const entries = await this.#since(firstKept, newest, faults);
    faults.push(...chainFaults(entries));
    if (snapshot) faults.push(...snapshotFaults(snapshot, entries));
    return { lakeId, entries, isWhole: entries[0]?.number === 1, faults };
  }

  /** From the newest entry back to entries before the requested time, or to a gap. */
  async #since(firstKept: number, newest: number, faults: string[]): Promise<CommitEntry[]> {
    const entries: CommitEntry[] = [];
    let older = 0;
    for (let each = newest; each >= firstKept && older < olderMax; each--) {
      const entry = await this.#entry(each, faults);
      if (!entry) break;
      entries.push(entry);
      older = !entry.isMoved && entry.committedAtMs < this.#sinceMs ? older + 1 : 0;
    }
    return entries.reverse();
  }

  async #entry(each: number, faults: string[]): Promise<CommitEntry | null> {
    const known = this.#entries.get(each);
    if (known) return known;
    const bytes = await readWhole(this.#lake, `${folder}/${padded(each)}.json`);
    // Told by its name.
    if (bytes === null) return null;
    try {
      const entry = parseEntry(bytes.toString("utf8"));
      if (entry.number !== each) throw new Error(`it says number ${entry.number}`);
      this.#entries.set(each, entry);
      return entry;
    } catch (error) {
      if (error instanceof SimulatorError) throw error;
      faults.push(`commit ${each} can't be read: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  }

  async #snapshot(each: number | undefined, faults: string[]): Promise<Snapshot | null> {
    if (each === undefined) return null;
    const bytes = await readWhole(this.#lake, `${folder}/snapshots/${padded(each)}.json`);
    try {
      const snapshot = parseSnapshot(bytes?.toString("utf8") ?? "");
      if (snapshot.number !== each) throw new Error(`it says number ${snapshot.number}`);
      return snapshot;
    } catch (error) {
      if (error instanceof SimulatorError) throw error;
      faults.push(
        `snapshot ${each} can't be read: ${error instanceof Error ? error.message : String(error)}`,
      );
      return null;
    }
  }
}

interface Snapshot {
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
  /** By topic id: the last commit that touched its table. */
  readonly lastCommits: ReadonlyMap<string, number>;
}

function parseSnapshot(text: string): Snapshot {
  const snapshot = record(JSON.parse(text), "it");
  refuseNewerSnapshot(snapshot);
  return {
    number: number(snapshot["number"], "number"),
    firstKept: number(snapshot["firstKept"], "firstKept"),
    fence: snapshot["fence"] === undefined ? undefined : number(snapshot["fence"], "fence"),
    moves: parseMoves(snapshot["moves"]),
    past: mapOf(snapshot["past"] ?? {}, "past", parseRuns),
    lastCommits: mapOf(snapshot["tables"], "tables", (table) =>
      number(record(table, "a table")["lastCommit"], "lastCommit"),
    ),
  };
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
function snapshotFaults(snapshot: Snapshot, entries: readonly CommitEntry[]): string[] {
  const ends = new Map<string, string>();
  const lastCommits = new Map<string, number>();
  let [fence, firstKept] = [0, 0];
  for (const entry of entries) {
    const { number: each, moves, tables } = entry;
    if (each > snapshot.number) break;
    if (entry.isFence) fence = each;
    firstKept = Math.max(firstKept, entry.firstKept);
    for (const [partition, { to }] of moves) ends.set(partition, to);
    for (const topic of tables.keys()) lastCommits.set(topic, each);
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
  for (const [topic, commit] of lastCommits)
    if (snapshot.lastCommits.get(topic) !== commit)
      faults.push(said(`that ${snapshot.lastCommits.get(topic)} touched ${topic} last`));
  if (fence > 0 && snapshot.fence !== undefined && snapshot.fence !== fence)
    faults.push(said(`that ${snapshot.fence} is the last fence`));
  if (snapshot.firstKept < firstKept) faults.push(said(`that ${snapshot.firstKept} is the first entry`));
  return faults;
}

/** The missing numbers from the first to the last. */
function holes(numbers: readonly number[], first: number, last: number): string[] {
  const faults: string[] = [];
  let next = first;
  for (const each of [...numbers.filter((number) => number >= first), last + 1]) {
    if (each > next) {
      const missing = each === next + 1 ? `commit ${next} is` : `commits ${next} to ${each - 1} are`;
      faults.push(`${missing} missing, though later ones exist`);
    }
    next = Math.max(next, each + 1);
  }
  return faults;
}

function numbersOf(names: readonly string[]): number[] {
  const numbers = names.flatMap((name) => entryPattern.exec(name)?.[1] ?? []).map(Number);
  return numbers.sort((left, right) => left - right);
}

function padded(each: number): string {
  return String(each).padStart(20, "0");
}
