import { dedupeWindowMs } from "./proof-topics.ts";

/** After this time a supervisor ends a process that hangs. Longer than any pause of a strike. */
export const silenceMs = 10_000;

/** Of memory, for each id of a window: as its tables are filled. */
const windowIdBytes = { min: 27, max: 40 };
/** Less than the dedupe window, so that the window is full; more than any late copy of a fleet is late. */
const fullWindowMs = 90_000;
const windowBytesMin = 1024 ** 2;

/** Memory for the ids of a dedupe window: too little for all. */
export function windowBytes(rate: number): number {
  return Math.max(windowBytesMin, Math.ceil((rate * windowIdBytes.max * fullWindowMs) / 1000));
}

/** True if so many messages in that time are more than such a window holds. */
export function fillsWindow(
  bytes: number,
  { messages, durationMs }: { messages: number; durationMs: number },
): boolean {
  const ids = (messages / durationMs) * dedupeWindowMs;
  return durationMs > dedupeWindowMs && ids * windowIdBytes.min > bytes;
}

/**
 * Settings of the gateways: periods of days become minutes. So logs are pruned, checkpoints replace entries,
 * and the window forgets.
 */
export function proofSettings(rate: number): Readonly<Record<string, string>> {
  return {
    TIDEGATE_TABLES_CHECKPOINT_ENTRIES: "20",
    TIDEGATE_TABLES_SNAPSHOT_ENTRIES: "20",
    TIDEGATE_TABLES_COMMIT_RETENTION_MS: "60000",
    TIDEGATE_TABLES_LOG_RETENTION_MS: "60000",
    // Their windows of an hour would keep every commit.
    TIDEGATE_TOPICS_DEMO: "false",
    TIDEGATE_SUPERVISION_SILENCE_MS: String(silenceMs),
    TIDEGATE_TABLES_VACUUM_INTERVAL_MS: "10000",
    TIDEGATE_TABLES_VACUUM_AGE_MS: "20000",
    TIDEGATE_WINDOW_MAX_BYTES: String(windowBytes(rate)),
  };
}
