import { BridgeError } from "../../../errors.ts";
import type { PartitionLeases } from "../../../leases/partition-leases.ts";
import type { PartitionMap } from "../../../streams/partition-map.ts";
import type { StreamLog } from "../../../streams/stream-log.ts";
import type { LakeState } from "../../commit-log/commit-log.ts";
import { PartitionCursor } from "./partition-cursor.ts";
import { readablePartitions } from "./readable-partitions.ts";

/** The partitions that the consumer reads, and whether the leases still give it the same ones. */
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

  /** Tells the leases which partitions can be read. */
  offer(lake: LakeState): void {
    const { readable, waiting, unheard } = readablePartitions(this.#stream, lake);
    this.#offeredOf = this.#stream.partitions;
    this.#isWaiting = waiting.length + unheard.length > 0;
    this.#leases.offer(readable);
  }

  /**
   * Whether more partitions may be readable than were offered, because other processes may have read their
   * predecessors to the end.
   */
  get isOfferOld(): boolean {
    return this.#isWaiting || this.#offeredOf !== this.#stream.partitions;
  }

  /** Ordered by partition. */
  get cursors(): readonly PartitionCursor[] {
    return this.#cursors;
  }

  /** Takes the partitions that the leases give now. Returns those that it lost. */
  adopt(): number[] {
    const before = new Map(this.#cursors.map((cursor) => [cursor.partition, cursor]));
    this.#tokens = this.#wanted();
    const partitions = [...this.#tokens.keys()].toSorted((left, right) => left - right);
    this.#cursors = partitions.map(
      (partition) => before.get(partition) ?? new PartitionCursor(this.#stream.streamId, partition),
    );
    return [...before.keys()].filter((partition) => !this.#tokens.has(partition));
  }

  /** False once the leases give other partitions than those that were taken. */
  get isCurrent(): boolean {
    const wanted = this.#wanted();
    return (
      wanted.size === this.#tokens.size &&
      [...wanted].every(([partition, token]) => this.#tokens.get(partition) === token)
    );
  }

  /** False once another process may have taken a partition with blocks in the open batch. */
  get isStanding(): boolean {
    const held = this.#leases.held();
    return this.#cursors.every(
      ({ hasMoved, partition }) => !hasMoved || held.get(partition)?.token === this.#tokens.get(partition),
    );
  }

  /** Releases partitions that others are to have. There must be no open batch. */
  async handOver(): Promise<void> {
    const due = [...this.#leases.held()].filter(([, { isDue }]) => isDue).map(([partition]) => partition);
    if (due.length > 0) await this.#leases.release(due);
  }

  /**
   * Throws STREAM_NO_GAP if the stream has no such partition, CONSUMER_NOT_OWNER if another process reads it.
   */
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
      ? `${owner} reads partition ${partition}: run the command there`
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
