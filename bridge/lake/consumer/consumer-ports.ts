import type { Logger } from "pino";
import type { Position, StreamLog } from "../../streams/stream-log.ts";
import type { MessageJudge } from "../../tail/judge-message.ts";
import type { NameReadings } from "../../tail/name-readings.ts";
import type { SchemaChecks } from "../../tail/schema-checks.ts";
import type { TopicCatalog } from "../../topics/topic-catalog.ts";
import type { BatchWriter } from "../batch-writer.ts";
import type { CommitLog } from "../commit-log/commit-log.ts";
import type { SeedSource } from "../seed-source.ts";
import type { TablePublisher } from "../table-publishing.ts";
import type { DedupWindow } from "../window/dedup-window.ts";
import type { BackOff } from "./back-off.ts";
import type { ConsumerConfig } from "./consumer-config.ts";
import type { ConsumerHistory } from "./consumer-history.ts";
import type { ConsumerMetrics } from "./consumer-metrics.ts";
import type { FilingGuard } from "./guard/filing-guard.ts";
import type { DedupeKeyMaker } from "./ids/dedupe-key.ts";
import type { LookUpBudget } from "./ids/look-up-budget.ts";
import type { WindowAlarm } from "./ids/window-alarm.ts";
import type { OutsideTimes } from "./outside-times.ts";
import type { RecoveryProgress } from "./recovery-progress.ts";

/** The consumer's dependencies. */
export interface ConsumerPorts {
  readonly stream: StreamLog;
  readonly window: DedupWindow;
  readonly commitLog: CommitLog;
  readonly publisher: TablePublisher;
  readonly batch: BatchWriter;
  readonly seeds: SeedSource;
  readonly topics: TopicCatalog;
  /** Lets the stream forget committed blocks. Idempotent; a failure only delays it. */
  readonly trim: (partition: number, upTo: Position) => Promise<void>;
  /** Whether the stream is short of room; then batches are committed earlier. */
  readonly isUnderPressure?: () => boolean;
  readonly logger: Logger;
  /** ms since the epoch. */
  readonly now: () => number;
  /** ms on a clock that never goes back and counts time asleep; for waits and ages. */
  readonly elapsedMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Shared by the steps of one consumer. */
export interface ConsumerContext extends ConsumerPorts {
  readonly config: ConsumerConfig;
  readonly metrics: ConsumerMetrics;
  readonly history: ConsumerHistory;
  readonly judge: MessageJudge;
  readonly checks: SchemaChecks;
  readonly filing: FilingGuard;
  readonly readings: NameReadings;
  readonly windowAlarm: WindowAlarm;
  readonly outsideTimes: OutsideTimes;
  readonly progress: RecoveryProgress;
  readonly lookUps: LookUpBudget;
  readonly keys: DedupeKeyMaker;
  readonly backOff: BackOff;
}
