import type { Logger } from "pino";
import { type LakeCommitLog, type ObjectStore, openTopicCatalog, vacuum } from "../bridge/index.ts";

const firstAfterMs = 3_600_000;
/** A run lists every data file of the lake, and what it deletes is a day old at least. */
const intervalMs = 86_400_000;

/**
 * Removes once a day what batches wrote and no commit took. It runs in the consumer, whose crashes make such files, and never at its
 * start, when others may be in a hurry. Returns how to end it.
 */
export function keepLakeTidy(parts: {
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly logger: Logger;
}): () => void {
  const { logger } = parts;
  let timer = setTimeout(tidy, firstAfterMs).unref();
  return () => clearTimeout(timer);

  function tidy(): void {
    timer = setTimeout(tidy, intervalMs).unref();
    openTopicCatalog(parts.store)
      .then((topics) => vacuum({ ...parts, topics }))
      .catch((error: unknown) =>
        logger.warn(
          { event: "lake.vacuum.failed", err: error },
          "the lake was not tidied up; tried again tomorrow",
        ),
      );
  }
}
