import type { LakeState } from "../commit-log/commit-log.ts";
import { moveOf } from "../commit-log/past-partitions.ts";
import type { CommitOutcome } from "./commit/commit-batch.ts";
import { cutBatch } from "./commit/cut-batch.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import type { PoisonGuard } from "./guard/poison-guard.ts";
import type { PartitionCursor } from "./partitions/partition-cursor.ts";
import type { PartitionShare } from "./partitions/partition-share.ts";

/**
 * Maximum age of a batch while the stream is short of room. Not shorter: other processes may fill the stream,
 * and a commit for each run of blocks would not help.
 */
const pressedBatchAgeMs = 250;

/** The batch that a consumer reads into: when it is due, and how it ends. */
export class OpenBatch {
  readonly #context: ConsumerContext;
  readonly #share: PartitionShare;
  readonly #guard: PoisonGuard;
  /** When its first block was read, by `elapsedMs`; null if no block is in it. */
  #openedAtMs: number | null = null;

  constructor(context: ConsumerContext, share: PartitionShare, guard: PoisonGuard) {
    this.#context = context;
    this.#share = share;
    this.#guard = guard;
  }

  /** Call it after each read: the age counts from the first block. */
  wasRead(cursor: PartitionCursor): void {
    if (cursor.hasMoved) this.#openedAtMs ??= this.#context.elapsedMs();
  }

  get isFull(): boolean {
    const { batch, config } = this.#context;
    return batch.bytes >= config.maxBatchBytes || this.blocksLeft <= 0;
  }

  /** How many more blocks it may hold. */
  get blocksLeft(): number {
    const blocksMax = Math.min(this.#guard.blocksMax, this.#context.filing.blocksMax);
    return blocksMax - this.#share.cursors.reduce((sum, cursor) => sum + cursor.openBlocks, 0);
  }

  get isDue(): boolean {
    return this.#openedAtMs !== null && (this.dueInMs <= 0 || this.isFull);
  }

  /** Infinite if no block is in it; negative if it is late. */
  get dueInMs(): number {
    if (this.#openedAtMs === null) return Number.POSITIVE_INFINITY;
    return this.#openedAtMs + this.#ageMaxMs() - this.#context.elapsedMs();
  }

  /** Commits the batch; null if no block is in it. */
  async cut(): Promise<CommitOutcome | null> {
    if (this.#openedAtMs === null) return null;
    const committed = await cutBatch(this.#context, this.#share.cursors, {
      openedAtMs: this.#openedAtMs,
      guard: this.#guard,
      isStanding: () => this.#share.isStanding,
    });
    if (committed.outcome === "committed") this.#openedAtMs = null;
    return committed;
  }

  /** Forgets the batch, so that its blocks are read again. Resolves with false if no block is in it. */
  async giveUp(lake: LakeState | undefined): Promise<boolean> {
    await this.#context.batch.discard();
    if (this.#openedAtMs === null) return false;
    for (const cursor of this.#share.cursors) cursor.rewind(lake && moveOf(lake, cursor.key));
    this.#openedAtMs = null;
    return true;
  }

  #ageMaxMs(): number {
    const { config, isUnderPressure } = this.#context;
    return isUnderPressure?.() ? Math.min(config.maxBatchAgeMs, pressedBatchAgeMs) : config.maxBatchAgeMs;
  }
}
