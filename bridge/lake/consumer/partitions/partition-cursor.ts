import assert from "node:assert/strict";
import type { BlockHeader } from "../../../block/block-format.ts";
import { partitionKey } from "../../../streams/partition-key.ts";
import {
  endPosition,
  type PartitionState,
  type Position,
  startPosition,
} from "../../../streams/stream-log.ts";
import {
  inheritedMarks,
  isLivingMark,
  livingMarks,
  producerForgottenAfterMs,
  producersRememberedMax,
} from "../../../tail/check-block.ts";
import type { PartitionClock } from "../../../tail/partition-clock.ts";
import type { PartitionHalt } from "../../../tail/partition-halt.ts";
import type { ProducerMark } from "../../../tail/producer-mark.ts";
import { appendClock, behindStreamTime, livingClock, newClock } from "../../../tail/stream-time.ts";
import { type Move, noCounters, type PartitionCounters } from "../../commit-log/commit-log.ts";
import { BatchIds } from "../ids/batch-ids.ts";
import type { Inheritance } from "./readable-partitions.ts";

/** The end that a stream reports is a little old already. */
const idleWithinMs = 5_000;

type Counting = { -readonly [Name in keyof PartitionCounters]: number };

/** How far one partition was read: the committed position, and what the open batch adds. */
export class PartitionCursor {
  readonly partition: number;
  /** Its key in the commit log. */
  readonly key: string;
  /** The committed position: the batch starts here, and the window must be here. */
  committed: Position = startPosition;
  committedCounters: PartitionCounters = noCounters;
  /** Position of the last block in the open batch. */
  position: Position = startPosition;
  /** Elapsed time; 0 = nothing was read yet. */
  streamTimeMs = 0;
  clock: PartitionClock = newClock;
  /** See `Move.shifts`. */
  shifts: Move["shifts"] = {};
  /**
   * When the last block read was appended, by the consumer's `elapsedMs`; null if this process does not know.
   */
  readUpToMs: number | null = null;
  producers = new Map<string, ProducerMark>();
  /** All predecessors of the partition, direct and indirect. They were read to their end. */
  ancestors: ReadonlySet<number> = new Set();
  counters: Counting = { ...noCounters };
  /**
   * Number of known topic versions at the last message, and the stream time when that number or the topic of
   * a name changed.
   */
  topicsSeen = -1;
  topicsChangedAtMs = 0;
  ids = new BatchIds();
  /** Why the partition is not read; null if it is. */
  halt: PartitionHalt | null = null;
  /** Bytes of blocks in the open batch. */
  openBytes = 0;
  openBlocks = 0;
  /** Whether the last read found nothing more. */
  isCaughtUp = false;
  /**
   * Everything appended before this is in the tables, by the consumer's `elapsedMs`; null if this process
   * does not know yet.
   */
  filedUpToMs: number | null = null;

  constructor(streamId: string, partition: number) {
    this.partition = partition;
    this.key = partitionKey(streamId, partition);
  }

  get hasMoved(): boolean {
    return this.position !== this.committed;
  }

  get isFinished(): boolean {
    return this.committed === endPosition;
  }

  /**
   * If the open batch has no blocks of this partition, learns from the stream up to when everything is filed.
   * A stream that only tells how far it was read also counts refused blocks, and those of batches that were
   * given up. So the last read must also have found nothing more.
   */
  observe({ highest, behindMs, behindAgoMs = 0 }: PartitionState, askedAtMs: number): void {
    if (this.hasMoved) return;
    if (behindMs === undefined) {
      if (highest === this.committed) this.filedUpTo(askedAtMs);
    } else if (this.isCaughtUp) this.filedUpTo(askedAtMs - behindAgoMs - behindMs);
  }

  /** @param atMs Entries appended before this are filed. */
  filedUpTo(atMs: number): void {
    this.filedUpToMs = Math.max(this.filedUpToMs ?? atMs, atMs);
  }

  /** Whether everything was filed that had been appended a moment before `nowMs`. */
  isIdle(nowMs: number): boolean {
    return !this.hasMoved && this.filedUpToMs !== null && nowMs - this.filedUpToMs < idleWithinMs;
  }

  /** Sets what a partition without a commit takes over from its predecessors. */
  inherit({ ancestors, parents, start }: Inheritance): void {
    this.ancestors = ancestors;
    // An accepted loss before the first block has a commit, and that contains the inheritance.
    if (this.committed !== startPosition || this.producers.size > 0) return;
    this.shifts = {};
    if (start === null) return;
    this.streamTimeMs = start.streamTimeMs;
    this.clock = start.clock;
    this.shifts = start.shifts;
    this.producers = new Map(parents.flatMap(([parent, move]) => inheritedMarks(parent, move, start)));
  }

  /** The mark of a producer; undefined once the producer is forgotten, even if its mark is still here. */
  markOf(key: string): ProducerMark | undefined {
    const mark = this.producers.get(key);
    return mark && isLivingMark(mark, this.streamTimeMs) ? mark : undefined;
  }

  /**
   * Whether the producer of a block without a mark may have had one. There are three causes: more producers
   * than are remembered, a machine whose clock stood still while stream time advanced, or a block that
   * travelled for very long. Half of the forgetting time counts: if a lane's own clock shows that much time
   * without an acknowledgement, it takes a new id.
   */
  mayHaveForgotten({ time, partition: meant }: BlockHeader): boolean {
    if (this.producers.size >= producersRememberedMax) return true;
    const behindMs = time && behindStreamTime(this, { boot: time.bootId, stampMs: time.stampMs, meant });
    return behindMs !== null && behindMs >= producerForgottenAfterMs / 2;
  }

  /** Returns to the state in the commit log, and forgets the partition's part of the open batch. */
  rewind(move: Move | undefined): void {
    this.committed = move?.to ?? startPosition;
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

  /** The partition's part of the open batch was committed. */
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
