import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { CommitLog } from "../commit-log/commit-log.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { openTopicCatalog } from "../topic-versions.ts";
import type { UpkeepWork } from "./upkeep-loop.ts";
import { vacuum } from "./vacuum.ts";
import { VacuumMetrics } from "./vacuum-metrics.ts";

/** A crash leaves files that no commit names. Soon after a start, other work comes first. */
const firstAfterMaxMs = 3_600_000;

export interface VacuumWorkOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly logger: Logger;
  readonly registry: Registry;
  /** From start to start of runs, each of which lists all data files of the lake. */
  readonly intervalMs: number;
  readonly ageMs: number;
  /** Monotonic, ms. */
  readonly elapsedMs: () => number;
}

/** Vacuum at intervals. */
export function vacuumWork(options: VacuumWorkOptions): UpkeepWork {
  const { store, commitLog, logger, registry, intervalMs, ageMs, elapsedMs } = options;
  const metrics = new VacuumMetrics(registry);
  let dueAtMs = elapsedMs() + Math.min(intervalMs, firstAfterMaxMs);
  return {
    name: "vacuum",
    dueAtMs: () => dueAtMs,
    run: async (signal) => {
      const startedAtMs = elapsedMs();
      const topics = await openTopicCatalog(store);
      await vacuum({ store, commitLog, topics, logger, metrics, ageMs, signal });
      dueAtMs = startedAtMs + intervalMs;
    },
  };
}
