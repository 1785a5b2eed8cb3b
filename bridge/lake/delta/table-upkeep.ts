import type { Logger } from "pino";
import { BridgeError } from "../../errors.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import type { UnkemptTable } from "../table-publishing.ts";
import type { DeltaTable } from "./delta-table.ts";
import type { StorageMetrics } from "./storage-metrics.ts";
import { cleanLog, writeCheckpoint } from "./table-checkpoint.ts";

const dayMs = 86_400_000;
/**
 * Delays after failed checkpoints: each attempt reads the whole previous checkpoint, and a commit waits for
 * it.
 */
const firstRetryMs = 10_000;
const retryMsMax = 600_000;

interface Failure {
  readonly reason: string;
  readonly sinceMs: number;
  readonly attempts: number;
  readonly retryAtMs: number;
}

export interface TableUpkeepOptions {
  readonly store: ObjectStore;
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
  readonly now: () => number;
  readonly elapsedMs: () => number;
  readonly logRetentionMs: number;
}

/**
 * Writes checkpoints of tables and cleans their logs. A failure keeps no rows from being visible; each
 * failure is logged and retried.
 */
export class TableUpkeep {
  readonly #options: TableUpkeepOptions;
  readonly #cleanedAtMs = new Map<string, number>();
  readonly #failures = new Map<string, Failure>();

  constructor(options: TableUpkeepOptions) {
    this.#options = options;
  }

  get failing(): UnkemptTable[] {
    return [...this.#failures].map(([table, { reason, sinceMs }]) => ({ table, reason, sinceMs }));
  }

  /**
   * Resolves with false if another process has checkpointed the log beyond the state that was read, so that
   * it must be read again.
   */
  async run(table: DeltaTable): Promise<boolean> {
    if (!table.isCheckpointDue() || this.#isWaiting(table.name)) return true;
    const { store, metrics } = this.#options;
    try {
      if (await table.isLeftBehind()) return false;
      await writeCheckpoint(store, table, await store.now());
      metrics.checkpointed();
      this.#mended(table.name);
    } catch (error) {
      this.#failed(table.name, error);
    }
    // Older checkpoints, also of other writers, may replace entries.
    await this.#clean(table.name);
    return true;
  }

  async #clean(name: string): Promise<void> {
    const { store, metrics, logger, now, logRetentionMs } = this.#options;
    // Each process decides by its own clock how often it lists; ages count by the store's clock.
    const cleanedMs = this.#cleanedAtMs.get(name) ?? Number.NEGATIVE_INFINITY;
    if (Math.abs(now() - cleanedMs) < Math.min(dayMs, logRetentionMs)) return;
    this.#cleanedAtMs.set(name, now());
    try {
      const nowMs = await store.now();
      metrics.deletedLogFiles(await cleanLog(store, name, { nowMs, retainMs: logRetentionMs }));
    } catch (error) {
      throwIfFatal(error);
      const fields = { event: "table.cleaning.failed", table: name, err: error };
      logger.warn(fields, "old entries of the table's log were not deleted; Tidegate retries later");
    }
  }

  #isWaiting(name: string): boolean {
    const failure = this.#failures.get(name);
    return failure !== undefined && failure.retryAtMs > this.#options.elapsedMs();
  }

  #failed(name: string, error: unknown): void {
    throwIfFatal(error);
    const { logger, metrics, now, elapsedMs } = this.#options;
    const before = this.#failures.get(name);
    const attempts = (before?.attempts ?? 0) + 1;
    const retryAtMs = elapsedMs() + Math.min(firstRetryMs * 2 ** (attempts - 1), retryMsMax);
    const reason = error instanceof Error ? error.message : String(error);
    this.#failures.set(name, { reason, attempts, retryAtMs, sinceMs: before?.sinceMs ?? now() });
    metrics.checkpointFailed();
    metrics.unkempt(this.#failures.size);
    const fields = { event: "table.checkpoint.failed", table: name, attempts, err: error };
    logger.warn(fields, "no checkpoint was written; readers read more entries until a retry succeeds");
  }

  #mended(name: string): void {
    if (!this.#failures.delete(name)) return;
    this.#options.metrics.unkempt(this.#failures.size);
    this.#options.logger.info(
      { event: "table.checkpoint.resumed", table: name },
      "the table has a checkpoint again",
    );
  }
}

/** After a failed flush, the process must end. */
function throwIfFatal(error: unknown): void {
  if (error instanceof BridgeError && error.code === "STORE_FLUSH_FAILED") throw error;
}
