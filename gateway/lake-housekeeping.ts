import type { Logger } from "pino";
import type { Registry } from "prom-client";
import {
  type LakeCommitLog,
  type ObjectStore,
  openTopicCatalog,
  VacuumMetrics,
  vacuum,
} from "../bridge/index.ts";

const firstAfterMaxMs = 3_600_000;

/**
 * Removes once in a while what batches wrote and no commit took. It runs in the consumer, whose crashes make such files, and never at its
 * start, when others may be in a hurry. The answer's `stop` ends it.
 */
export function keepLakeTidy(parts: {
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly logger: Logger;
  readonly registry: Registry;
  /** A run lists every data file of the lake. */
  readonly intervalMs: number;
  readonly ageMs: number;
}): { stop(): void; failure(): { readonly message: string; readonly atMs: number } | null } {
  const { store, commitLog, logger, registry, intervalMs, ageMs } = parts;
  const metrics = new VacuumMetrics(registry);
  let isRunning = false;
  let failure: { message: string; atMs: number } | null = null;
  let timer = setTimeout(tidy, Math.min(intervalMs, firstAfterMaxMs)).unref();
  return { stop: () => clearTimeout(timer), failure: () => failure };

  function tidy(): void {
    timer = setTimeout(tidy, intervalMs).unref();
    if (isRunning) return;
    isRunning = true;
    openTopicCatalog(store)
      .then((topics) => vacuum({ store, commitLog, topics, logger, metrics, ageMs }))
      .then(
        () => {
          failure = null;
        },
        (error: unknown) => {
          failure = { message: error instanceof Error ? error.message : String(error), atMs: Date.now() };
          const fields = { event: "lake.vacuum.failed", err: error };
          logger.warn(fields, "the lake was not tidied up; tried again next time");
        },
      )
      .finally(() => {
        isRunning = false;
      });
  }
}
