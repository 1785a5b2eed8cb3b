import { END_POSITION, type Position, type StreamLog } from "../streams/stream-log.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { stateOrNull } from "./state-or-null.ts";

/** How far a consumer that is to end reads: others may append for ever, what was in the stream when it was asked to is enough. */
export class DrainGoal {
  readonly #stream: Pick<StreamLog, "partitions" | "partitionState" | "comparePositions">;
  /** By partition, as of the first time that it was among the cursors; null where the stream does not say. */
  readonly #highest = new Map<number, Position | null>();

  constructor(stream: Pick<StreamLog, "partitions" | "partitionState" | "comparePositions">) {
    this.#stream = stream;
  }

  /** Halted partitions have no further to go. */
  async isReached(cursors: readonly PartitionCursor[]): Promise<boolean> {
    let isReached = true;
    for (const cursor of cursors) if (!cursor.halt && !(await this.#isRead(cursor))) isReached = false;
    return isReached;
  }

  async #isRead({ partition, position, isCaughtUp }: PartitionCursor): Promise<boolean> {
    if (position === END_POSITION) return true;
    // What took its place waits for its end.
    if (this.#stream.partitions.all.some((each) => each.partition === partition && !each.isOpen))
      return false;
    const known = this.#highest.get(partition);
    const state = known ? null : await stateOrNull(this.#stream, partition);
    const highest = known ?? (state ? state.highest : position);
    this.#highest.set(partition, highest);
    if (highest !== null) return this.#stream.comparePositions(position, highest) >= 0;
    return isCaughtUp && state?.behindMs === 0;
  }
}
