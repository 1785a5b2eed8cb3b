import type { Position } from "../../streams/stream-log.ts";
import type { PartitionClock } from "../../tail/partition-clock.ts";
import type { ProducerMark } from "../../tail/producer-mark.ts";
import type { CommittedLanding } from "./landed-file.ts";
import type { LaneCommits } from "./lane-commits.ts";

/**
 * The format that this version writes under `_commits/`. Older versions refuse a lake with a newer format.
 * They would drop unknown fields, commit past a fence, or read an ended partition again. Format 2 is the
 * entry that closes a log; format 3 has neither parents nor past partitions; format 4 names files by topic id
 * instead of by ordinal.
 */
export const lakeFormat = 5;
/** The formats that this version reads; version 0.1.0 wrote format 1. */
export type LakeFormat = 1 | 3 | 4 | typeof lakeFormat;

/** Table key of quarantined rows. */
export const quarantineKey = "_quarantine";

/**
 * Running totals since the partition began, in messages: read = filed + duplicates + quarantined + resent +
 * misrouted.
 */
export interface PartitionCounters {
  readonly read: number;
  readonly filed: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly resent: number;
  readonly misrouted: number;
  /** Acknowledged messages in blocks that were never read, in gaps that an operator accepted. */
  readonly unaccounted: number;
}

export const noCounters: PartitionCounters = {
  read: 0,
  filed: 0,
  duplicates: 0,
  quarantined: 0,
  resent: 0,
  misrouted: 0,
  unaccounted: 0,
};

/** One partition's step in a commit. */
export interface Move {
  readonly from: Position;
  readonly to: Position;
  /** Stream time after the step. It decides what expires. */
  readonly streamTimeMs: number;
  /**
   * Absent if version 0.1.0 wrote the move: its stream time was the running maximum of the stream's append
   * time.
   */
  readonly clock?: PartitionClock;
  /**
   * By partition key, how far another partition's stream time trails this one's, in ms. Holds the partitions
   * whose rows this partition's window had to know when it began. Absent if version 0.1.0 began the
   * partition: its stream time is compared to others without a shift.
   */
  readonly shifts?: Readonly<Record<string, number>>;
  /** By producer id: the marks of all producers of the partition after the commit. */
  readonly producers: Readonly<Record<string, ProducerMark>>;
  readonly counters: PartitionCounters;
  /**
   * The partitions that this one replaced; absent if the entry did not know them. An entry that records one
   * child of a partition records all of them. The commit log copies the value into later moves.
   */
  readonly parents?: readonly number[];
  /**
   * Numbers of the entry that holds this move, and of the entry with the partition's previous move (0 =
   * none). The commit log sets both.
   */
  readonly commit?: number;
  readonly previousCommit?: number;
}

/** One data file, as written in a commit entry and later in the table's Delta log. */
export interface AddedFile {
  /** Relative to the table's folder: `event_date=…/event_hour=…/<uuid>.parquet`. */
  readonly path: string;
  readonly eventDate: string;
  readonly eventHour: number;
  readonly bytes: number;
  readonly rows: number;
  readonly modifiedAtMs: number;
  /** Smallest and largest ingest time of its rows, ms since the epoch. */
  readonly minIngestMs: number;
  readonly maxIngestMs: number;
  /**
   * Smallest and largest stream time of its rows, ms, so that seeding can skip files. Absent if version 0.1.0
   * wrote the file: ingest time was stream time.
   */
  readonly minStreamMs?: number;
  readonly maxStreamMs?: number;
  /** Delta statistics: the JSON text for `stats` of the add action. */
  readonly stats: string;
}

export interface TableAdds {
  /** The table's folder: the topic's name, or `_quarantine`. A topic id never gets another one. */
  readonly name: string;
  /**
   * Of an entry to append: the highest topic version of its rows (0 for quarantine). Of an entry that was
   * read: at least the highest version filed in that table up to this entry.
   */
  readonly version: number;
  readonly adds: readonly AddedFile[];
}

/** The purpose of an entry without a batch. */
export interface Upkeep {
  /**
   * Batches whose first file was written before this entry cannot commit any more. So vacuum may delete files
   * that no entry up to this one names.
   */
  readonly fence?: true;
  /** The log no longer needs entries below this number, because every table shows their files. */
  readonly firstKept?: number;
  /**
   * By topic id, or quarantineKey: the transactions of the table, as the writer of the entry read them. A
   * table that shows less later has lost its transactions, or its log was replaced by an older copy. `append`
   * leaves out bounds that are not higher than the known ones.
   */
  readonly settled?: Readonly<Record<string, LaneCommits>>;
}

/** What callers append and read. The objects of the log name tables by ordinal, see `StoredEntry`. */
export interface CommitEntry {
  /** `append` replaces this with lakeFormat. */
  readonly format: LakeFormat;
  readonly number: number;
  /** Random. A writer recognises its own entry by it after an unknown outcome. */
  readonly commitId: string;
  readonly committedAtMs: number;
  /** By `<stream id>/<partition>`. */
  readonly moves: Readonly<Record<string, Move>>;
  /** Files of the lane `direct`, by topic id or quarantineKey. */
  readonly tables: Readonly<Record<string, TableAdds>>;
  /** The rows that wait in a landing file until they are settled. */
  readonly landing?: CommittedLanding;
  /**
   * The newest entry that the writer knew before it wrote the first file of the entry. Absent if the writer
   * does not know, or if there are no files.
   */
  readonly filesSince?: number;
  readonly upkeep?: Upkeep;
}

export interface CommittedTable {
  /** The table's number in entries; null if only entries before format 5 named it. */
  readonly ordinal: number | null;
  readonly name: string;
  /** Highest topic version filed in the table; 0 for quarantine. It determines the Delta schema. */
  readonly version: number;
  /** The last commit that brought rows. The table lags if its Delta transaction has a lower number. */
  readonly last: LaneCommits;
  /** The bounds of `Upkeep.settled`. */
  readonly settled: LaneCommits;
}

/** What the lake keeps of past partitions of one stream, see `past-partitions.ts`. */
export interface PastPartitions {
  /** Partition numbers as ascending runs, each with its first and last number. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
  /** Sum over these partitions. */
  readonly counters: PartitionCounters;
  /** By partition, only partitions whose rows other partitions' windows may still need for seeding. */
  readonly rows: Readonly<Record<string, PastRows>>;
}

export interface PastRows {
  /** Stream time at the partition's end. */
  readonly streamTimeMs: number;
  /** Number of the entry with the partition's last move. */
  readonly commit: number;
}

/** The sum of all entries up to `number`. */
export interface LakeState {
  readonly number: number;
  /**
   * Commit id of the entry `number`. Null if there is no entry yet, or if the state comes from a snapshot of
   * version 0.1.0.
   */
  readonly commitId: string | null;
  /** Entries below this number are no longer part of the log, even if their objects still exist. */
  readonly firstKept: number;
  /** Number of the last fence, 0 = none. */
  readonly fence: number;
  /** By `<stream id>/<partition>`. `moveOf` also finds past partitions. */
  readonly moves: ReadonlyMap<string, Move>;
  /** By stream id. */
  readonly past: ReadonlyMap<string, PastPartitions>;
  /** By topic id, or quarantineKey. */
  readonly tables: ReadonlyMap<string, CommittedTable>;
  /** Topic ids by ordinal. The first is quarantineKey. */
  readonly ordinals: readonly string[];
}

/**
 * - `committed`: the entry is durable and ours. After an unknown outcome, the log reads the entry and
 *   compares commit ids.
 * - `taken`: another entry has that number, or the log has later entries.
 * - `conflict`: a move starts at another position than the committed one. Nothing was written.
 * - `fenced`: a fence stands between `filesSince` and the entry, so vacuum may have deleted its files.
 *   Nothing was written.
 */
export type AppendOutcome = "committed" | "taken" | "conflict" | "fenced";

/**
 * PORT: the lake's only source of truth. A commit creates its entry only if the entry's number is free.
 *
 * - `load` resolves with the newest state. Rejects with LAKE_DAMAGED if an entry below the newest is missing.
 * - `reload` starts over from the newest snapshot, for a caller that has seen something that contradicts
 *   `load`.
 * - `append` creates the entry `entry.number`. That number must be one more than a state that the caller
 *   loaded.
 */
export interface CommitLog {
  /** Random id, stored in the lake at its creation. */
  readonly lakeId: string;
  load(): Promise<LakeState>;
  reload(): Promise<LakeState>;
  append(entry: CommitEntry): Promise<{ outcome: AppendOutcome }>;
  /** Null if the entry is not written yet, or given up. */
  entry(number: number): Promise<CommitEntry | null>;
}
