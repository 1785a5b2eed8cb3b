import assert from "node:assert/strict";
import type { BlockHeader } from "../block/block-format.ts";
import {
  type Move,
  noCounters,
  type PartitionClock,
  type PartitionCounters,
  type ProducerMark,
  partitionKey,
} from "../storage/commit-log.ts";
import { END_POSITION, type PartitionState, type Position, START_POSITION } from "../streams/stream-log.ts";
import { BatchIds } from "./batch-ids.ts";
import {
  inheritedMarks,
  isLivingMark,
  livingMarks,
  PRODUCER_FORGOTTEN_AFTER_MS,
  PRODUCERS_REMEMBERED_MAX,
} from "./check-block.ts";
import type { PartitionHalt } from "./partition-halt.ts";
import type { Inheritance } from "./readable-partitions.ts";
import { appendClock, behindStreamTime, livingClock, newClock } from "./stream-time.ts";

type Counting = { -readonly [Name in keyof PartitionCounters]: number };

/** How far one partition was read: what is committed, and what the open batch adds to it. */
export class PartitionCursor {
  readonly partition: number;
  /** Its name in the commit log. */
  readonly key: string;
  /** The committed position: the batch's start, and what the window must be at. */
  committed: Position = START_POSITION;
  committedCounters: PartitionCounters = noCounters;
  /** The last block that is in the open batch. */
  position: Position = START_POSITION;
  /** Elapsed time; 0 = nothing was read yet. */
  streamTimeMs = 0;
  clock: PartitionClock = newClock;
  /** See Move. */
  shifts: Move["shifts"] = {};
  /** When the last block that was read was appended, by the consumer's `elapsedMs`; null = this process does not know. */
  readUpToMs: number | null = null;
  producers = new Map<string, ProducerMark>();
  /** Partitions whose place it took, and those whose place these took: all of them were read to their end. */
  ancestors: ReadonlySet<number> = new Set();
  counters: Counting = { ...noCounters };
  /** How many topic versions were known when the last message was read, and the stream time when that or the topic of a name changed. */
  topicsSeen = -1;
  topicsChangedAtMs = 0;
  ids = new BatchIds();
  /** Why it is not read; null = it is. */
  halt: PartitionHalt | null = null;
  /** Bytes of blocks in the open batch. */
  openBytes = 0;
  openBlocks = 0;
  /** True where the last read found nothing more. */
  isCaughtUp = false;
  /** Whatever was appended before is in the tables, by the consumer's `elapsedMs`; null = this process does not know yet. */
  filedUpToMs: number | null = null;

  constructor(streamId: string, partition: number) {
    this.partition = partition;
    this.key = partitionKey(streamId, partition);
  }

  get hasMoved(): boolean {
    return this.position !== this.committed;
  }

  get isFinished(): boolean {
    return this.committed === END_POSITION;
  }

  /**
   * Where nothing waits in the open batch, what the stream says tells up to when everything is filed. One that tells only how far it was
   * read counts blocks as read that were refused here, or whose batch was given up: then the last read must have found nothing more.
   */
  observe({ highest, behindMs, behindAgoMs = 0 }: PartitionState, askedAtMs: number): void {
    if (this.hasMoved) return;
    if (behindMs === undefined) {
      if (highest === this.committed) this.filedUpTo(askedAtMs);
    } else if (this.isCaughtUp) this.filedUpTo(askedAtMs - behindAgoMs - behindMs);
  }

  /** @param atMs Entries that were appended before are filed. */
  filedUpTo(atMs: number): void {
    this.filedUpToMs = Math.max(this.filedUpToMs ?? atMs, atMs);
  }

  /** What it goes on from if it was never committed. */
  inherit({ ancestors, parents, start }: Inheritance): void {
    this.ancestors = ancestors;
    // A loss before the first block may have been accepted: its commit holds what was inherited by then.
    if (this.committed !== START_POSITION || this.producers.size > 0) return;
    this.shifts = {};
    if (start === null) return;
    this.streamTimeMs = start.streamTimeMs;
    this.clock = start.clock;
    this.shifts = start.shifts;
    this.producers = new Map(parents.flatMap(([parent, move]) => inheritedMarks(parent, move, start)));
  }

  /** What is known of a producer; undefined once it is forgotten, be it that its mark still stands here. */
  markOf(key: string): ProducerMark | undefined {
    const mark = this.producers.get(key);
    return mark && isLivingMark(mark, this.streamTimeMs) ? mark : undefined;
  }

  /**
   * Whether the producer of a block without a mark may have had one: there were more producers than are remembered, its machine's clock
   * stood still while stream time went on, or the block travelled that long. A lane whose own clock shows half of that time without an
   * acknowledgement takes a new id before.
   */
  mayHaveForgotten({ time, partition: meant }: BlockHeader): boolean {
    if (this.producers.size >= PRODUCERS_REMEMBERED_MAX) return true;
    const behindMs = time && behindStreamTime(this, { boot: time.bootId, stampMs: time.stampMs, meant });
    return behindMs !== null && behindMs >= PRODUCER_FORGOTTEN_AFTER_MS / 2;
  }

  /** Starts over at what the commit log says; forgets the open batch's part. */
  rewind(move: Move | undefined): void {
    this.committed = move?.to ?? START_POSITION;
    this.committedCounters = move?.counters ?? noCounters;
    this.position = this.committed;
    this.streamTimeMs = move?.streamTimeMs ?? 0;
    this.clock = move ? (move.clock ?? appendClock(move.streamTimeMs)) : newClock;
    this.shifts = move?.shifts;
    this.readUpToMs = null;
    this.producers = new Map(Object.entries(move?.producers ?? {}));
    this.counters = { ...this.committedCounters };
    this.ids = new BatchIds();
    this.halt = null;
    this.openBytes = 0;
    this.openBlocks = 0;
    this.isCaughtUp = false;
  }

  /** The open batch's part became true. */
  settle(move: Move): void {
    assert.equal(move.to, this.position);
    this.committed = move.to;
    this.committedCounters = move.counters;
    if (this.readUpToMs !== null) this.filedUpTo(this.readUpToMs);
    this.producers = new Map(Object.entries(move.producers));
    this.clock = move.clock ?? this.clock;
    this.ids = new BatchIds();
    this.openBytes = 0;
    this.openBlocks = 0;
  }

  /** This partition's step in the batch's commit. The books must balance (G8). */
  move(): Move {
    const { read, filed, duplicates, quarantined, resent, misrouted } = this.counters;
    assert.equal(
      read,
      filed + duplicates + quarantined + resent + misrouted,
      "the books of a partition balance",
    );
    return {
      from: this.committed,
      to: this.position,
      streamTimeMs: this.streamTimeMs,
      clock: livingClock(this),
      ...(this.shifts && { shifts: this.shifts }),
      producers: livingMarks(this.producers, this.streamTimeMs),
      counters: { ...this.counters },
    };
  }
}
