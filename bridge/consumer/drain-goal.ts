import type { Position, StreamLog } from "../streams/stream-log.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { stateOrNull } from "./state-or-null.ts";

/** How far a consumer that is to end reads: others may append for ever, what was in the stream when it was asked to is enough. */
export class DrainGoal {
  readonly #stream: Pick<StreamLog, "partitionState" | "comparePositions">;
  /** By partition, as of the first time that it was among the cursors. */
  readonly #highest = new Map<number, Position>();

  constructor(stream: Pick<StreamLog, "partitionState" | "comparePositions">) {
    this.#stream = stream;
  }

  /** Halted partitions have no further to go. */
  async isReached(cursors: readonly PartitionCursor[]): Promise<boolean> {
    let isReached = true;
    for (const { partition, position, halt } of cursors) {
      const known = this.#highest.get(partition) ?? (await stateOrNull(this.#stream, partition))?.highest;
      const highest = known ?? position;
      this.#highest.set(partition, highest);
      if (!halt && this.#stream.comparePositions(position, highest) < 0) isReached = false;
    }
    return isReached;
  }
}
