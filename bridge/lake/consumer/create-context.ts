import { MessageJudge } from "../../tail/judge-message.ts";
import { JudgingFaults } from "../../tail/judging-faults.ts";
import { NameReadings } from "../../tail/name-readings.ts";
import { processCpuMs, SchemaChecks } from "../../tail/schema-checks.ts";
import type { TopicVersion } from "../../topics/topic-catalog.ts";
import { BackOff, sleepWithTimer } from "./back-off.ts";
import { ConsumerHistory } from "./consumer-history.ts";
import { ConsumerMetrics } from "./consumer-metrics.ts";
import type { ConsumerOptions } from "./consumer-options.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { FilingGuard } from "./guard/filing-guard.ts";
import { DedupeKeyMaker } from "./ids/dedupe-key.ts";
import { LookUpBudget, lookUpLimits } from "./ids/look-up-budget.ts";
import { WindowAlarm } from "./ids/window-alarm.ts";
import { OutsideTimes } from "./outside-times.ts";
import { RecoveryProgress } from "./recovery-progress.ts";

/** Adds to a consumer's ports what its steps share. */
export function createContext(options: ConsumerOptions): ConsumerContext {
  const { config, random, logger, registry, elapsedMs, sleep = sleepWithTimer } = options;
  const judgingFaults = new JudgingFaults(logger, elapsedMs);
  const unexpected = (error: unknown, topic: TopicVersion) => judgingFaults.met(error, topic);
  const metrics = new ConsumerMetrics(registry);
  return {
    ...options,
    metrics,
    history: new ConsumerHistory({ logger, metrics, now: options.now }),
    judge: new MessageJudge(unexpected),
    checks: new SchemaChecks({ elapsedMs, cpuMs: processCpuMs, unexpected }),
    readings: new NameReadings(options.topics),
    windowAlarm: new WindowAlarm(logger),
    outsideTimes: new OutsideTimes(registry),
    progress: new RecoveryProgress(elapsedMs, registry),
    lookUps: new LookUpBudget(options.lookUpLimits ?? lookUpLimits, elapsedMs),
    keys: new DedupeKeyMaker(),
    filing: new FilingGuard(options, new JudgingFaults(logger, elapsedMs, "filing")),
    backOff: new BackOff({ maxMs: config.retryMaxMs, random, sleep }),
  };
}
