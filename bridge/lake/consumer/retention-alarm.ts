import type { Logger } from "pino";
import { Gauge, type Registry } from "prom-client";
import type { StreamLog } from "../../streams/stream-log.ts";
import type { PartitionCursor } from "./partitions/partition-cursor.ts";

/** Share of the stream's retention after which waiting messages raise the alarm. */
const endangeredShare = 0.5;
/** The alarm has its own timer, because the cause of the backlog may also block the consumer's loop. */
const checkMs = 5000;

type Cursor = Pick<PartitionCursor, "partition" | "filedUpToMs" | "isFinished">;

export interface RetentionAlarmOptions {
  readonly stream: Pick<StreamLog, "retentionMs">;
  /** The partitions that this process reads. */
  readonly cursors: () => readonly Cursor[];
  readonly logger: Logger;
  readonly registry: Registry;
  /** The consumer's clock, on which `filedUpToMs` of the cursors is based. */
  readonly elapsedMs: () => number;
  readonly repeat?: Repeat | undefined;
}

/** Repeats the work; returns a function that ends it. */
export type Repeat = (work: () => void, everyMs: number) => () => void;

const repeatWithTimer: Repeat = (work, everyMs) => {
  const timer = setInterval(work, everyMs).unref();
  return () => clearInterval(timer);
};

/** Warns in time if a stream with limited retention is about to forget messages that are in no table yet. */
export class RetentionAlarm {
  readonly #options: RetentionAlarmOptions;
  #told = new Set<number>();
  #end: () => void = () => {};

  constructor(options: RetentionAlarmOptions) {
    this.#options = options;
    const alarm = this;
    new Gauge({
      name: "tidegate_consumer_unfiled_ms",
      help: "Longest time that an entry of the stream may have waited without being in a table, ms.",
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
      help: "1 while unfiled messages are older than half of the stream's retention.",
      registers: [options.registry],
      collect() {
        this.set(options.cursors().some((cursor) => alarm.isEndangered(cursor)) ? 1 : 0);
      },
    });
  }

  /** Does nothing if the stream has no retention. */
  start(): void {
    const { stream, repeat = repeatWithTimer } = this.#options;
    if (stream.retentionMs !== undefined) this.#end = repeat(() => this.check(), checkMs);
  }

  stop(): void {
    this.#end();
  }

  /**
   * Longest time that a message may have waited without being in a table, ms; null if this process does not
   * know.
   */
  unfiledMs({ filedUpToMs, isFinished }: Cursor): number | null {
    return isFinished || filedUpToMs === null ? null : Math.max(0, this.#options.elapsedMs() - filedUpToMs);
  }

  isEndangered(cursor: Cursor): boolean {
    const { retentionMs } = this.#options.stream;
    const unfiledMs = this.unfiledMs(cursor);
    return retentionMs !== undefined && unfiledMs !== null && unfiledMs > retentionMs * endangeredShare;
  }

  /** Logs each endangered partition once, until it is out of danger. */
  check(): void {
    const { stream, cursors, logger } = this.#options;
    const endangered = cursors().filter((cursor) => this.isEndangered(cursor));
    for (const cursor of endangered)
      if (!this.#told.has(cursor.partition)) {
        const { partition } = cursor;
        const unfiledMs = this.unfiledMs(cursor);
        logger.error(
          { event: "consumer.retention.endangered", partition, unfiledMs, retentionMs: stream.retentionMs },
          "messages wait longer than half of the stream's retention, and those not filed in time are lost. Find out what holds up filing, or raise the retention",
        );
      }
    this.#told = new Set(endangered.map(({ partition }) => partition));
  }
}
