import { BridgeError } from "../errors.ts";
import type { LakeState } from "../storage/commit-log.ts";
import type { PartitionMap } from "../streams/partition-map.ts";
import type { StreamLog } from "../streams/stream-log.ts";
import { PartitionCursor } from "./partition-cursor.ts";
import type { PartitionLeases } from "./partition-leases.ts";
import { readablePartitions } from "./readable-partitions.ts";

/** The partitions that the consumer reads, and whether the leases still say so. */
export class PartitionShare {
  readonly #leases: PartitionLeases;
  readonly #stream: Pick<StreamLog, "streamId" | "partitions">;
  #offeredOf: PartitionMap | null = null;
  #isWaiting = false;
  #tokens = new Map<number, number>();
  #cursors: readonly PartitionCursor[] = [];

  constructor(leases: PartitionLeases, stream: Pick<StreamLog, "streamId" | "partitions">) {
    this.#leases = leases;
    this.#stream = stream;
  }

  /** Says which partitions there are to read. */
  offer(lake: LakeState): void {
    const { readable, waiting, unheard } = readablePartitions(this.#stream, lake);
    this.#offeredOf = this.#stream.partitions;
    this.#isWaiting = waiting.length + unheard.length > 0;
    this.#leases.offer(readable);
  }

  /** True while there may be more to read than was offered: other processes read to the end of what some partitions wait for. */
  get isOfferOld(): boolean {
    return this.#isWaiting || this.#offeredOf !== this.#stream.partitions;
  }

  /** By partition. */
  get cursors(): readonly PartitionCursor[] {
    return this.#cursors;
  }

  /** Takes the partitions that the leases give now. Answers those that it had before and has no more. */
  adopt(): number[] {
    const before = new Map(this.#cursors.map((cursor) => [cursor.partition, cursor]));
    this.#tokens = this.#wanted();
    const partitions = [...this.#tokens.keys()].toSorted((left, right) => left - right);
    this.#cursors = partitions.map(
      (partition) => before.get(partition) ?? new PartitionCursor(this.#stream.streamId, partition),
    );
    return [...before.keys()].filter((partition) => !this.#tokens.has(partition));
  }

  /** False once the leases give others than those that were taken. */
  get isCurrent(): boolean {
    const wanted = this.#wanted();
    return (
      wanted.size === this.#tokens.size &&
      [...wanted].every(([partition, token]) => this.#tokens.get(partition) === token)
    );
  }

  /** True while nobody else may have taken a partition with blocks in the open batch. */
  get isStanding(): boolean {
    const held = this.#leases.held();
    return this.#cursors.every(
      ({ hasMoved, partition }) => !hasMoved || held.get(partition)?.token === this.#tokens.get(partition),
    );
  }

  /** Lets others have what they are to have. There must be no open batch. */
  async handOver(): Promise<void> {
    const due = [...this.#leases.held()].filter(([, { isDue }]) => isDue).map(([partition]) => partition);
    if (due.length > 0) await this.#leases.release(due);
  }

  /** @throws BridgeError STREAM_NO_GAP where the stream has no such partition, CONSUMER_NOT_OWNER where another process reads it. */
  cursorOf(partition: number): PartitionCursor {
    const cursor = this.#cursors.find((each) => each.partition === partition);
    if (cursor) return cursor;
    const all = this.#stream.partitions.all.map((each) => each.partition);
    if (!all.includes(partition)) {
      const text = `there is no partition ${partition}: the stream has ${all.join(", ")}`;
      throw new BridgeError("STREAM_NO_GAP", text, { retryable: false });
    }
    const { owner } = this.#leases.status().partitions.find((each) => each.partition === partition) ?? {};
    const text = owner
      ? `partition ${partition} is read by ${owner}: run the command there`
      : `no process reads partition ${partition} at the moment: try again when \`tidegate status\` names its owner`;
    throw new BridgeError("CONSUMER_NOT_OWNER", text, {
      retryable: !owner,
      details: { partition, owner: owner ?? null },
    });
  }

  #wanted(): Map<number, number> {
    const kept = [...this.#leases.held()].filter(([, { isDue }]) => !isDue);
    return new Map(kept.map(([partition, { token }]) => [partition, token]));
  }
}
