import type { PartitionState } from "../streams/stream-log.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { type PartitionStatus, partitionStatus } from "./consumer-status.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import type { RetentionAlarm } from "./retention-alarm.ts";
import { stateOrNull } from "./state-or-null.ts";

/** Knows what the stream said last of the partitions that are read here, and tells status and metrics how far behind each is. */
export class PartitionObserver {
  readonly #context: Pick<ConsumerContext, "stream" | "metrics" | "elapsedMs" | "now">;
  readonly #alarm: RetentionAlarm;
  readonly #states = new Map<number, PartitionState>();

  constructor(
    context: Pick<ConsumerContext, "stream" | "metrics" | "elapsedMs" | "now">,
    alarm: RetentionAlarm,
  ) {
    this.#context = context;
    this.#alarm = alarm;
  }

  async observe(cursors: readonly PartitionCursor[]): Promise<void> {
    const { stream, metrics, elapsedMs } = this.#context;
    for (const cursor of cursors) {
      const askedAtMs = elapsedMs();
      const state = await stateOrNull(stream, cursor.partition);
      if (state) {
        this.#states.set(cursor.partition, state);
        cursor.observe(state, askedAtMs);
      } else this.#states.delete(cursor.partition);
      const { unaccounted, lagMs, lagBytes } = this.#statusOf(cursor);
      metrics.partition(cursor.partition, { unaccounted, isHalted: cursor.halt !== null, lagMs, lagBytes });
    }
  }

  status(cursors: readonly PartitionCursor[]): PartitionStatus[] {
    return cursors.map((cursor) => this.#statusOf(cursor));
  }

  /** It is read elsewhere from now on. */
  handedOver(partition: number): void {
    this.#states.delete(partition);
    this.#context.metrics.handedOver(partition);
  }

  #statusOf(cursor: PartitionCursor): PartitionStatus {
    const state = this.#states.get(cursor.partition);
    const { elapsedMs, now } = this.#context;
    return partitionStatus(cursor, state, { elapsedMs: elapsedMs(), nowMs: now(), alarm: this.#alarm });
  }
}
