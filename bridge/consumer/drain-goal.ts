import { END_POSITION, type Position, type StreamLog } from "../streams/stream-log.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { stateOrNull } from "./state-or-null.ts";

/** How far a consumer that is to end reads: others may append for ever, what was in the stream when it was asked to is enough. */
export class DrainGoal {
  readonly #stream: Pick<StreamLog, "partitions" | "partitionState" | "comparePositions">;
  /** By partition, as of the first time that it was among the cursors; null where the stream does not say. */
  readonly #highest = new Map<number, Position | null>();

  readonly #elapsedMs: () => number;
  readonly #askedAtMs: number;

  constructor(
    stream: Pick<StreamLog, "partitions" | "partitionState" | "comparePositions">,
    elapsedMs: () => number,
  ) {
    this.#stream = stream;
    this.#elapsedMs = elapsedMs;
    this.#askedAtMs = elapsedMs();
  }

  /** Halted partitions have no further to go. `isIdle`: the last reads have found nothing more. */
  async isReached(cursors: readonly PartitionCursor[], isIdle: boolean): Promise<boolean> {
    let isReached = true;
    for (const cursor of cursors)
      if (!cursor.halt && !(await this.#isRead(cursor, isIdle))) isReached = false;
    return isReached;
  }

  async #isRead({ partition, position, isCaughtUp }: PartitionCursor, isIdle: boolean): Promise<boolean> {
    if (position === END_POSITION) return true;
    // What took its place waits for its end.
    if (this.#stream.partitions.all.some((each) => each.partition === partition && !each.isOpen))
      return false;
    const known = this.#highest.get(partition);
    const state = known ? null : await stateOrNull(this.#stream, partition);
    const highest = known ?? (state ? state.highest : position);
    this.#highest.set(partition, highest);
    if (highest !== null) return isIdle || this.#stream.comparePositions(position, highest) >= 0;
    // It reads ahead: that it has nothing to hand out says little, and so does what it knew before.
    const { behindMs, behindAgoMs = Number.POSITIVE_INFINITY } = state ?? {};
    return isCaughtUp && behindMs === 0 && this.#elapsedMs() - behindAgoMs >= this.#askedAtMs;
  }
}
