import { setTimeout as delay } from "node:timers/promises";
import type { PartitionState } from "../streams/stream-log.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { type PartitionStatus, partitionStatus } from "./consumer-status.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import type { RetentionAlarm } from "./retention-alarm.ts";
import { stateOrNull } from "./state-or-null.ts";

const LOOK_MAX_MS = 1000;

/** Knows what the stream said last of the partitions that are read here, and tells status and metrics how far behind each is. */
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

  /** Asks the stream again what it holds, at once. A stream that does not answer within a second is not waited for. */
  async lookAgain(cursors: readonly PartitionCursor[]): Promise<void> {
    const { stream, elapsedMs } = this.#context;
    const asked = cursors.map(async ({ partition }) => {
      const askedAtMs = elapsedMs();
      const state = await stream.partitionState(partition);
      this.#states.set(partition, { state, askedAtMs });
    });
    await Promise.race([Promise.allSettled(asked), delay(LOOK_MAX_MS, undefined, { ref: false })]);
  }

  status(
    cursors: readonly PartitionCursor[],
    { isRecovering }: { isRecovering: boolean },
  ): PartitionStatus[] {
    return cursors.map((cursor) => this.#statusOf(cursor, isRecovering));
  }

  /** It is read elsewhere from now on. */
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
