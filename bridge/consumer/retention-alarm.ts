import type { Logger } from "pino";
import { Gauge, type Registry } from "prom-client";
import type { StreamLog } from "../streams/stream-log.ts";
import type { PartitionCursor } from "./partition-cursor.ts";

/** What waits for more than this share of the time that the stream keeps it is an alarm. */
const ENDANGERED_SHARE = 0.5;
/** A timer of its own: whatever holds filing up may hold the consumer's loop up, too. */
const CHECK_MS = 5000;

type Cursor = Pick<PartitionCursor, "partition" | "filedUpToMs" | "isFinished">;

export interface RetentionAlarmOptions {
  readonly stream: Pick<StreamLog, "retentionMs">;
  /** Of the partitions that this process reads. */
  readonly cursors: () => readonly Cursor[];
  readonly logger: Logger;
  readonly registry: Registry;
  /** The consumer's, by which cursors know up to when all is filed. */
  readonly elapsedMs: () => number;
  readonly repeat?: Repeat | undefined;
}

/** Does the work again and again; returns what ends that. */
export type Repeat = (work: () => void, everyMs: number) => () => void;

const repeatWithTimer: Repeat = (work, everyMs) => {
  const timer = setInterval(work, everyMs).unref();
  return () => clearInterval(timer);
};

/** Tells while there is time that a stream which keeps entries for a limited time is about to forget some that are in no table yet. */
export class RetentionAlarm {
  readonly #options: RetentionAlarmOptions;
  #told = new Set<number>();
  #end: () => void = () => {};

  constructor(options: RetentionAlarmOptions) {
    this.#options = options;
    const alarm = this;
    new Gauge({
      name: "tidegate_consumer_unfiled_ms",
      help: "For how long an entry of the stream may have waited that is in no table yet, ms.",
      labelNames: ["partition"],
      registers: [options.registry],
      collect() {
        this.reset();
        for (const cursor of options.cursors()) {
          const unfiledMs = alarm.unfiledMs(cursor);
          if (unfiledMs !== null) this.set({ partition: cursor.partition }, unfiledMs);
        }
      },
    });
    new Gauge({
      name: "tidegate_consumer_retention_endangered",
      help: "1 while something waits to be filed for more than half of the time for which the stream keeps it.",
      registers: [options.registry],
      collect() {
        this.set(options.cursors().some((cursor) => alarm.isEndangered(cursor)) ? 1 : 0);
      },
    });
  }

  /** Where the stream forgets nothing there is nothing to watch. */
  start(): void {
    const { stream, repeat = repeatWithTimer } = this.#options;
    if (stream.retentionMs !== undefined) this.#end = repeat(() => this.check(), CHECK_MS);
  }

  stop(): void {
    this.#end();
  }

  /** For how long something may have waited that is in no table yet; null where this process does not know. */
  unfiledMs({ filedUpToMs, isFinished }: Cursor): number | null {
    return isFinished || filedUpToMs === null ? null : Math.max(0, this.#options.elapsedMs() - filedUpToMs);
  }

  isEndangered(cursor: Cursor): boolean {
    const { retentionMs } = this.#options.stream;
    const unfiledMs = this.unfiledMs(cursor);
    return retentionMs !== undefined && unfiledMs !== null && unfiledMs > retentionMs * ENDANGERED_SHARE;
  }

  /** Each partition is told once, until it is out of danger. */
  check(): void {
    const { stream, cursors, logger } = this.#options;
    const endangered = cursors().filter((cursor) => this.isEndangered(cursor));
    for (const cursor of endangered)
      if (!this.#told.has(cursor.partition)) {
        const { partition } = cursor;
        const unfiledMs = this.unfiledMs(cursor);
        logger.error(
          { event: "consumer.retention.endangered", partition, unfiledMs, retentionMs: stream.retentionMs },
          "messages wait for more than half of the time for which the stream keeps them: what is not filed in time is lost. Mend what holds filing up, or raise the stream's retention",
        );
      }
    this.#told = new Set(endangered.map(({ partition }) => partition));
  }
}
