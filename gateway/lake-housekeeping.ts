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
 * start, when others may be in a hurry. Returns how to end it.
 */
export function keepLakeTidy(parts: {
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly logger: Logger;
  readonly registry: Registry;
  /** A run lists every data file of the lake. */
  readonly intervalMs: number;
  readonly ageMs: number;
}): () => void {
  const { store, commitLog, logger, registry, intervalMs, ageMs } = parts;
  const metrics = new VacuumMetrics(registry);
  let isRunning = false;
  let timer = setTimeout(tidy, Math.min(intervalMs, firstAfterMaxMs)).unref();
  return () => clearTimeout(timer);

  function tidy(): void {
    timer = setTimeout(tidy, intervalMs).unref();
    if (isRunning) return;
    isRunning = true;
    openTopicCatalog(store)
      .then((topics) => vacuum({ store, commitLog, topics, logger, metrics, ageMs }))
      .catch((error: unknown) =>
        logger.warn(
          { event: "lake.vacuum.failed", err: error },
          "the lake was not tidied up; tried again next time",
        ),
      )
      .finally(() => {
        isRunning = false;
      });
  }
}
