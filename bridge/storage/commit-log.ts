import type { Position } from "../streams/stream-log.ts";

/**
 * What this version writes under `_commits/`. Versions that do not know it refuse the lake, rather than drop what they do not know or
 * commit past a fence, or read what ended again. 2 is the entry that closes a log; 3 says nothing of parents and knows no past.
 */
export const LAKE_FORMAT = 4;
/** What this version reads: 1 = written by version 0.1.0. */
export type LakeFormat = 1 | 3 | typeof LAKE_FORMAT;

/** Table key of rows that could not be filed in their topic's table. */
export const QUARANTINE = "_quarantine";

/** What is known of one producer in one meant partition: the basis of the re-sent rule and of the gap check (G8). */
export interface ProducerMark {
  readonly lastSequence: number;
  /** Acknowledged messages up to and including that block, if it was acknowledged. */
  readonly ackedMessages: number;
  /** Stream time when it was last seen; forgotten 24 h of stream time later. */
  readonly seenAtMs: number;
  /** The number of its last block, see PartitionClock; absent where that says nothing of this partition's clock. */
  readonly block?: number;
}

/** What is known of one boot's clock in one partition. Stream time and numbers of blocks are the partition's. */
export interface BootLine {
  /** Stream time − boot clock; null = there is no line yet, or no more. */
  readonly offsetMs: number | null;
  /** Stream time at the newest block of the boot that is known to have been acknowledged, and its number. */
  readonly provenAtMs: number;
  readonly provenBlock: number;
  /** Stream time at its newest block. */
  readonly seenAtMs: number;
}

/** How a partition's stream time goes on, see `../consumer/stream-time.ts`. */
export interface PartitionClock {
  /** Number of the newest block: 1, 2, … as they were read. */
  readonly blocks: number;
  /** From this one on all blocks are of one boot, on its line. */
  readonly aloneSince: number;
  /** Of the newest block; "" = none. */
  readonly boot: string;
  /** Stream time of the newest block's rows. */
  readonly rowTimeMs: number;
  /** By boot id. */
  readonly boots: Readonly<Record<string, BootLine>>;
  /** By `<boot id>@<partition>`: the boots that wrote to partitions which were merged into this one, in its stream time. Absent: none were. */
  readonly merged?: Readonly<Record<string, MergedBoot>>;
}

export type MergedBoot = Pick<BootLine, "offsetMs" | "seenAtMs">;

/** Running totals since the partition began, in messages: read = filed + duplicates + quarantined + resent + misrouted. */
export interface PartitionCounters {
  readonly read: number;
  readonly filed: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly resent: number;
  readonly misrouted: number;
  /** Acknowledged messages in blocks that were never read and whose gap an operator accepted. */
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
  /** Elapsed time: what expires expires by it. */
  readonly streamTimeMs: number;
  /** Absent = 0.1.0 wrote the move: stream time was the running maximum of the stream's append time. */
  readonly clock?: PartitionClock;
  /**
   * By partition key, how much the stream time of others is behind this one's: of those whose rows this one's window had to know when it
   * began. Absent = it began with 0.1.0: all others are compared as they are.
   */
  readonly shifts?: Readonly<Record<string, number>>;
  /** By producer id: the partition's whole map after the commit. */
  readonly producers: Readonly<Record<string, ProducerMark>>;
  readonly counters: PartitionCounters;
  /**
   * Partitions whose place this one took, as far as the entry knew that recorded it; absent = not known. An entry that records one child of
   * a partition records all of them. Carried on by the commit log.
   */
  readonly parents?: readonly number[];
  /** Number of the entry that it stands in, and of the entry with the partition's move before, 0 = none. Set by the commit log. */
  readonly commit?: number;
  readonly previousCommit?: number;
}

/** One data file, as it stands in a commit entry and, later, in its table's Delta log. */
export interface AddedFile {
  /** Relative to the table's folder: `event_date=…/event_hour=…/<uuid>.parquet`. */
  readonly path: string;
  readonly eventDate: string;
  readonly eventHour: number;
  readonly bytes: number;
  readonly rows: number;
  readonly modifiedAtMs: number;
  /** Smallest and largest ingest_time of its rows. */
  readonly minIngestMs: number;
  readonly maxIngestMs: number;
  /** The same of their stream time, so that seeding can skip it; absent = 0.1.0 wrote it, and ingest time was stream time. */
  readonly minStreamMs?: number;
  readonly maxStreamMs?: number;
  /** Delta statistics as the JSON text of the add action's `stats`. */
  readonly stats: string;
}

export interface TableAdds {
  /** The table's folder: the topic's name, or `_quarantine`. */
  readonly name: string;
  /** Highest topic version filed so far in that table (0 for quarantine): fixes the Delta schema. */
  readonly version: number;
  readonly adds: readonly AddedFile[];
  /** The last commit before this one that touched the table, 0 = none. Set by the commit log: how a publisher finds what it must publish. */
  readonly previousCommit?: number;
}

/** What an entry is for that no batch has written. */
export interface Upkeep {
  /**
   * Batches whose first file was written before this entry commit nothing any more: files that no entry up to here names may be
   * deleted.
   */
  readonly fence?: true;
  /** Entries below this number are given up: every table shows their files. */
  readonly firstKept?: number;
}

export interface CommitEntry {
  /** `append` writes the newest, whatever stands here. */
  readonly format: LakeFormat;
  readonly number: number;
  /** Random; how a writer recognises its own entry after an unknown outcome. */
  readonly commitId: string;
  readonly committedAtMs: number;
  /** By `<stream id>/<partition>`. */
  readonly moves: Readonly<Record<string, Move>>;
  /** By topic id, or QUARANTINE. */
  readonly tables: Readonly<Record<string, TableAdds>>;
  /** The newest entry that the writer knew before it wrote the first file of `tables`; absent = it does not know, or there are none. */
  readonly filesSince?: number;
  readonly upkeep?: Upkeep;
}

export interface CommittedTable {
  readonly name: string;
  readonly version: number;
  /** The last commit that touched it: it is unpublished only where its Delta txn is below this. */
  readonly lastCommit: number;
}

/** What is left of the partitions of one stream that are past, see `past-partitions.ts`. */
export interface PastPartitions {
  /** Their numbers, in runs: the first and the last of each, rising. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
  /** Of all of them together. */
  readonly counters: PartitionCounters;
  /** By partition, of those whose rows the windows of others may still have to be seeded with. */
  readonly rows: Readonly<Record<string, PastRows>>;
}

export interface PastRows {
  /** Of its end. */
  readonly streamTimeMs: number;
  /** Number of the entry with its last move. */
  readonly commit: number;
}

/** What all entries up to `number` add up to. */
export interface LakeState {
  readonly number: number;
  /** That of the entry `number`; null if no process knows it (a snapshot of version 0.1.0, or no entry yet). */
  readonly commitId: string | null;
  /** Entries below this one are no part of the log any more, whether they are still there or not. */
  readonly firstKept: number;
  /** Number of the last fence, 0 = none. */
  readonly fence: number;
  /** By `<stream id>/<partition>`. */
  readonly moves: ReadonlyMap<string, Move>;
  /** By stream id. Whoever asks for one partition asks `moveOf`, which knows both. */
  readonly past: ReadonlyMap<string, PastPartitions>;
  /** By topic id, or QUARANTINE. */
  readonly tables: ReadonlyMap<string, CommittedTable>;
}

export function partitionKey(streamId: string, partition: number): string {
  return `${streamId}/${partition}`;
}

/** What `partitionKey` joined. */
export function partitionOfKey(key: string): { streamId: string; partition: number } {
  const cut = key.lastIndexOf("/");
  return { streamId: key.slice(0, cut), partition: Number(key.slice(cut + 1)) };
}

/**
 * - `committed`: the entry is durable and it is ours (also after an unknown outcome, resolved by reading back and comparing commitId).
 * - `taken`: another entry has that number, or the log has long gone on.
 * - `conflict`: a move starts at another position than the committed one. Nothing was written.
 * - `fenced`: a fence stands between `filesSince` and the entry, so its files may be deleted. Nothing was written.
 */
export type AppendOutcome = "committed" | "taken" | "conflict" | "fenced";

/**
 * PORT: the lake's one source of truth. An entry becomes true by being created, only if absent.
 * - `load` resolves with the newest state. A hole below the newest entry is LAKE_DAMAGED.
 * - `reload` is the same for a caller who has seen something that contradicts `load`: it starts over from the newest snapshot.
 * - `append` creates entry `entry.number`, which must be the next one after a state that the caller has loaded.
 */
export interface CommitLog {
  /** Random id stored in the lake when it was created. */
  readonly lakeId: string;
  load(): Promise<LakeState>;
  reload(): Promise<LakeState>;
  append(entry: CommitEntry): Promise<{ outcome: AppendOutcome }>;
  /** null where there is no such entry (not written yet, or given up). */
  entry(number: number): Promise<CommitEntry | null>;
}
