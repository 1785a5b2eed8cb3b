import type { Logger } from "pino";
import { type LakeCommitLog, type ObjectStore, openTopicCatalog, vacuum } from "../bridge/index.ts";

const intervalMs = 3_600_000;

/**
 * Removes once an hour what batches wrote and no commit took. It runs in the consumer, whose crashes make such files, and never at its
 * start, when others may be in a hurry. Returns how to end it.
 */
export function keepLakeTidy(parts: {
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly logger: Logger;
}): () => void {
  const { logger } = parts;
  const timer = setInterval(() => {
    openTopicCatalog(parts.store)
      .then((topics) => vacuum({ ...parts, topics }))
      .catch((error: unknown) =>
        logger.warn(
          { event: "lake.vacuum.failed", err: error },
          "the lake was not tidied up; tried again in an hour",
        ),
      );
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
