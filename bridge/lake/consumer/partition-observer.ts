import { setTimeout as delay } from "node:timers/promises";
import type { PartitionState } from "../../streams/stream-log.ts";
import { stateOrNull } from "../../tail/state-or-null.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { type PartitionStatus, partitionStatus } from "./consumer-status.ts";
import type { PartitionCursor } from "./partitions/partition-cursor.ts";
import type { RetentionAlarm } from "./retention-alarm.ts";

const lookMaxMs = 1000;

/**
 * Keeps what the stream last said about the partitions read here, and reports their lag to status and
 * metrics.
 */
export class PartitionObserver {
  readonly #context: Pick<ConsumerContext, "stream" | "metrics" | "elapsedMs" | "now">;
  readonly #alarm: RetentionAlarm;
  readonly #states = new Map<number, { readonly state: PartitionState; readonly askedAtMs: number }>();

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
        this.#states.set(cursor.partition, { state, askedAtMs });
        cursor.observe(state, askedAtMs);
      } else this.#states.delete(cursor.partition);
      const { unaccounted, lagMs, lagBytes } = this.#statusOf(cursor);
      metrics.partition(cursor.partition, { unaccounted, isHalted: cursor.halt !== null, lagMs, lagBytes });
    }
  }

  /** Asks the stream for the state of all partitions, and waits a second at most. */
  async lookAgain(cursors: readonly PartitionCursor[]): Promise<void> {
    const { stream, elapsedMs } = this.#context;
    const asked = cursors.map(async ({ partition }) => {
      const askedAtMs = elapsedMs();
      const state = await stream.partitionState(partition);
      this.#states.set(partition, { state, askedAtMs });
    });
    await Promise.race([Promise.allSettled(asked), delay(lookMaxMs, undefined, { ref: false })]);
  }

  status(
    cursors: readonly PartitionCursor[],
    { isRecovering }: { isRecovering: boolean },
  ): PartitionStatus[] {
    return cursors.map((cursor) => this.#statusOf(cursor, isRecovering));
  }

  /** Another process reads the partition from now on. */
  handedOver(partition: number): void {
    this.#states.delete(partition);
    this.#context.metrics.handedOver(partition);
  }

  #statusOf(cursor: PartitionCursor, isRecovering = false): PartitionStatus {
    const state = this.#states.get(cursor.partition);
    const { elapsedMs, now } = this.#context;
    const clocks = { elapsedMs: elapsedMs(), nowMs: now() };
    return partitionStatus(cursor, state, { ...clocks, isRecovering, alarm: this.#alarm });
  }
}
