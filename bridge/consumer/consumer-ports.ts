import type { Logger } from "pino";
import type { BatchWriter } from "../storage/batch-writer.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { SeedSource, TablePublisher } from "../storage/seed-source.ts";
import type { Position, StreamLog } from "../streams/stream-log.ts";
import type { DedupWindow } from "../window/dedup-window.ts";
import type { BackOff } from "./back-off.ts";
import type { ConsumerConfig } from "./consumer-config.ts";
import type { ConsumerMetrics } from "./consumer-metrics.ts";
import type { DedupeKeyMaker } from "./dedupe-key.ts";
import type { FilingGuard } from "./filing-guard.ts";
import type { MessageJudge } from "./judge-message.ts";
import type { LookUpBudget } from "./look-up-budget.ts";
import type { NameReadings } from "./name-readings.ts";
import type { RecoveryProgress } from "./recovery-progress.ts";
import type { SchemaChecks } from "./schema-checks.ts";
import type { TopicCatalog } from "./topic-catalog.ts";
import type { WindowAlarm } from "./window-alarm.ts";

/** The outside world of a consumer. */
export interface ConsumerPorts {
  readonly stream: StreamLog;
  readonly window: DedupWindow;
  readonly commitLog: CommitLog;
  readonly publisher: TablePublisher;
  readonly batch: BatchWriter;
  readonly seeds: SeedSource;
  readonly topics: TopicCatalog;
  /** Lets the stream forget what is committed. Idempotent; a failure only delays it. */
  readonly trim: (partition: number, upTo: Position) => Promise<void>;
  /** True while the stream is short of room: batches are then cut early. */
  readonly isUnderPressure?: () => boolean;
  readonly logger: Logger;
  /** ms since the epoch. */
  readonly now: () => number;
  /** ms on a clock that never goes back and counts the time asleep: what is waited for or grows old is measured by it. */
  readonly elapsedMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** What the steps of one consumer share. */
export interface ConsumerContext extends ConsumerPorts {
  readonly config: ConsumerConfig;
  readonly metrics: ConsumerMetrics;
  readonly judge: MessageJudge;
  readonly checks: SchemaChecks;
  readonly filing: FilingGuard;
  readonly readings: NameReadings;
  readonly windowAlarm: WindowAlarm;
  readonly progress: RecoveryProgress;
  readonly lookUps: LookUpBudget;
  readonly keys: DedupeKeyMaker;
  readonly backOff: BackOff;
}
