import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { CommitLog } from "../commit-log/commit-log.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { openTopicCatalog } from "../topic-versions.ts";
import { LandingVacuumMetrics } from "./landing-vacuum-metrics.ts";
import type { UpkeepWork } from "./upkeep-loop.ts";
import { vacuum } from "./vacuum.ts";
import { LandingVacuum } from "./vacuum-landing.ts";
import { VacuumMetrics } from "./vacuum-metrics.ts";

/** A crash leaves files that no commit names. Soon after a start, other work comes first. */
const firstAfterMaxMs = 3_600_000;
/** Landing files hold all rows a second time, so those that may go do not wait for a day. */
const landingEveryMaxMs = 600_000;

export interface VacuumWorkOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly logger: Logger;
  readonly registry: Registry;
  /** From start to start of runs, each of which lists all data files of the lake. */
  readonly intervalMs: number;
  readonly ageMs: number;
  readonly now: () => number;
  /** Monotonic, ms. */
  readonly elapsedMs: () => number;
}

interface Part {
  dueAtMs: number;
  /** Resolves with the time from this start to the next one. */
  readonly run: (signal: AbortSignal) => Promise<number>;
}

/** Vacuum at intervals: of the tables, and each 10 min of the landing files. */
export function vacuumWork(options: VacuumWorkOptions): UpkeepWork {
  const { intervalMs, elapsedMs } = options;
  const landingEveryMs = Math.min(intervalMs, landingEveryMaxMs);
  const startedAtMs = elapsedMs();
  const parts: readonly Part[] = [
    { dueAtMs: startedAtMs + Math.min(intervalMs, firstAfterMaxMs), run: tableVacuum(options) },
    { dueAtMs: startedAtMs + landingEveryMs, run: landingVacuum(options, landingEveryMs) },
  ];
  return {
    name: "vacuum",
    dueAtMs: () => Math.min(...parts.map(({ dueAtMs }) => dueAtMs)),
    run: async (signal) => {
      const failures: unknown[] = [];
      // A part that fails does not hold up the other one.
      for (const part of parts.filter(({ dueAtMs }) => dueAtMs <= elapsedMs())) {
        signal.throwIfAborted();
        const beganAtMs = elapsedMs();
        await part.run(signal).then(
          (waitMs) => {
            part.dueAtMs = beganAtMs + waitMs;
          },
          (error: unknown) => failures.push(error),
        );
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}

function tableVacuum(options: VacuumWorkOptions): Part["run"] {
  const { store, commitLog, logger, registry, intervalMs, ageMs, now } = options;
  const metrics = new VacuumMetrics(registry);
  return async (signal) => {
    const topics = await openTopicCatalog(store);
    await vacuum({ store, commitLog, topics, logger, metrics, ageMs, now, signal });
    return intervalMs;
  };
}

function landingVacuum(options: VacuumWorkOptions, everyMs: number): Part["run"] {
  const { store, commitLog, logger, registry, intervalMs, ageMs, now, elapsedMs } = options;
  const landing = new LandingVacuum({
    ...{ store, commitLog, logger, ageMs, now, elapsedMs },
    topics: () => openTopicCatalog(store),
    metrics: new LandingVacuumMetrics(registry),
    searchEveryMs: intervalMs,
  });
  return async (signal) => ((await landing.run(signal)).isDone ? everyMs : 0);
}
