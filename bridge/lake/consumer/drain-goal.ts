import { endPosition, type Position, type StreamLog } from "../../streams/stream-log.ts";
import { stateOrNull } from "../../tail/state-or-null.ts";
import type { PartitionCursor } from "./partitions/partition-cursor.ts";

/**
 * How far a draining consumer reads: to the end of the stream at the time of the request, because others may
 * append for ever.
 */
export class DrainGoal {
  readonly #stream: Pick<StreamLog, "partitions" | "partitionState" | "comparePositions">;
  /**
   * By partition, the end of the stream when the partition was first among the cursors; null if the stream
   * does not say.
   */
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

  /**
   * Whether every partition is read up to its goal; halted partitions count as read. `isIdle`: the last reads
   * found nothing more.
   */
  async isReached(cursors: readonly PartitionCursor[], isIdle: boolean): Promise<boolean> {
    let isReached = true;
    for (const cursor of cursors)
      if (!cursor.halt && !(await this.#isRead(cursor, isIdle))) isReached = false;
    return isReached;
  }

  async #isRead({ partition, position, isCaughtUp }: PartitionCursor, isIdle: boolean): Promise<boolean> {
    if (position === endPosition) return true;
    // Its successors wait for its end.
    if (this.#stream.partitions.all.some((each) => each.partition === partition && !each.isOpen))
      return false;
    const known = this.#highest.get(partition);
    const state = known ? null : await stateOrNull(this.#stream, partition);
    const highest = known ?? (state ? state.highest : position);
    this.#highest.set(partition, highest);
    if (highest !== null) return isIdle || this.#stream.comparePositions(position, highest) >= 0;
    // The stream reads ahead: an empty read proves little, and so does what it knew before the request.
    const { behindMs, behindAgoMs = Number.POSITIVE_INFINITY } = state ?? {};
    return isCaughtUp && behindMs === 0 && this.#elapsedMs() - behindAgoMs >= this.#askedAtMs;
  }
}
