import type { CommitEntry } from "../commit-log/commit-log.ts";
import type { CommittedEntries } from "../commit-log/committed-entries.ts";
import { type Lane, landedLanes } from "../commit-log/lane-commits.ts";
import type { LackingFile } from "../delta/lacking-commits.ts";
import type { UnsettledCommits } from "../delta/unsettled-commits.ts";

const mebibyte = 1024 ** 2;
const entriesAtOnce = 16;
/** Bounds the numbers of commits in memory: after weeks parked, a table lacks hundreds of thousands. */
const numbersMax = 20_000;

export interface RoundLimits {
  /** Uncompressed bytes of the landing files of a round; one file may be larger. */
  readonly sizeMax: number;
  /** Commits, and files of the lane `direct`, of a round. */
  readonly commitsMax: number;
  readonly filesMax: number;
}

export const roundLimits: RoundLimits = { sizeMax: 256 * mebibyte, commitsMax: 500, filesMax: 5_000 };

/** A table, and by lane to settle the commit up to which the table shows everything. */
export interface LackingTable {
  readonly name: string;
  readonly topics: readonly { readonly key: string }[];
  readonly after: ReadonlyMap<Lane, number>;
}

/** The oldest commits with rows that the tables lack. */
export interface RoundCommits {
  readonly entries: readonly CommitEntry[];
  /** No other commit up to this one has rows that the tables lack. */
  readonly upTo: number;
  /** False if later commits have such rows, or may have. */
  readonly isComplete: boolean;
}

export interface RoundLog {
  readonly entries: Pick<CommittedEntries, "entry">;
  /** Has read the log up to `LogRange.upTo` at least. */
  readonly unsettled: Pick<UnsettledCommits, "candidates">;
}

export interface LogRange {
  /** The log gave up earlier entries, which have no rows that a table lacks. */
  readonly firstKept: number;
  readonly upTo: number;
}

/**
 * Reads the oldest commits with rows that these tables lack, within the limits. Entries that are given up
 * meanwhile are left out: their tables show them by then, which `settleTable` finds.
 */
export async function roundCommits(
  log: RoundLog,
  tables: readonly LackingTable[],
  { firstKept, upTo }: LogRange,
  limits: RoundLimits = roundLimits,
): Promise<RoundCommits> {
  const found: CommitEntry[] = [];
  let [size, files] = [0, 0];
  for (let passed = firstKept - 1; passed < upTo; ) {
    const { numbers, end } = nextNumbers(log.unsettled, tables, passed, upTo);
    for (let start = 0; start < numbers.length; start += entriesAtOnce) {
      const some = numbers.slice(start, start + entriesAtOnce);
      for (const entry of await Promise.all(some.map((number) => log.entries.entry(number)))) {
        const brought = entry && broughtBy(entry, tables);
        if (!brought) continue;
        size += brought.size;
        files += brought.files;
        const isFull = size > limits.sizeMax || files > limits.filesMax || found.length >= limits.commitsMax;
        if (isFull && found.length > 0) return { entries: found, upTo: entry.number - 1, isComplete: false };
        found.push(entry);
      }
    }
    if (found.length > 0) return { entries: found, upTo: end, isComplete: end === upTo };
    passed = end;
  }
  return { entries: found, upTo, isComplete: true };
}

/** Commits after `passed` that may have such rows, ascending: all up to `end`. */
function nextNumbers(
  unsettled: RoundLog["unsettled"],
  tables: readonly LackingTable[],
  passed: number,
  upTo: number,
): { readonly numbers: readonly number[]; readonly end: number } {
  const numbers = new Set<number>();
  let end = upTo;
  for (const { name, after } of tables)
    for (const [lane, shown] of after) {
      let count = 0;
      for (const number of unsettled.candidates(name, lane, Math.max(shown, passed))) {
        if (number > end) break;
        numbers.add(number);
        count += 1;
        if (count === numbersMax) end = number;
      }
    }
  return { numbers: [...numbers].filter((number) => number <= end).sort((a, b) => a - b), end };
}

function broughtBy(
  entry: CommitEntry,
  tables: readonly LackingTable[],
): { readonly size: number; readonly files: number } | null {
  let [hasLanded, files, isLacked] = [false, 0, false];
  for (const table of tables) {
    const { rows, files: direct } = lackedRows(table, [entry], entry.number);
    if (rows.size === 0) continue;
    isLacked = true;
    hasLanded ||= landedLanes.some((lane) => rows.has(lane));
    files += direct.length;
  }
  if (!isLacked) return null;
  return { size: hasLanded ? (entry.landing?.file.size ?? 0) : 0, files };
}

export interface LackedRows {
  /** The first of the commits; null if there is none. */
  readonly first: number | null;
  /** Rows by lane; a lane without rows is absent. */
  readonly rows: ReadonlyMap<Lane, number>;
  /** Files of the lane `direct`, in commit order. */
  readonly files: readonly LackingFile[];
  /** Commits whose landing files have rows of the table. */
  readonly landed: readonly number[];
}

/** What the table lacks of these commits, up to `upTo`. */
export function lackedRows(
  { topics, after }: LackingTable,
  entries: readonly CommitEntry[],
  upTo: number,
): LackedRows {
  const rows = new Map<Lane, number>();
  const files: LackingFile[] = [];
  const landed: number[] = [];
  let first: number | null = null;
  for (const { number, committedAtMs, tables, landing } of entries) {
    if (number > upTo) break;
    const lacks = (lane: Lane) => number > (after.get(lane) ?? Number.POSITIVE_INFINITY);
    const note = (lane: Lane, count: number) => {
      first ??= number;
      rows.set(lane, (rows.get(lane) ?? 0) + count);
      if (lane !== "direct" && landed.at(-1) !== number) landed.push(number);
    };
    for (const { key } of topics) {
      for (const add of lacks("direct") ? (tables[key]?.adds ?? []) : []) {
        note("direct", add.rows);
        files.push({ ...add, committedAtMs });
      }
      const ofLanes = landing?.tables[key]?.rows ?? {};
      for (const lane of landedLanes) if (ofLanes[lane] && lacks(lane)) note(lane, ofLanes[lane]);
    }
  }
  return { first, rows, files, landed };
}
