import { randomUUID } from "node:crypto";
import { startPosition } from "../../../streams/stream-log.ts";
import type { WrittenBatch } from "../../batch-writer.ts";
import {
  type CommitEntry,
  type LakeState,
  lakeFormat,
  type Move,
  type TableAdds,
} from "../../commit-log/commit-log.ts";
import { moveOf } from "../../commit-log/past-partitions.ts";
import { isRetryable } from "../back-off.ts";
import type { ConsumerContext } from "../consumer-ports.ts";

/**
 * After this time an uncommitted batch is given up and read again, because others may have committed its
 * messages by then.
 */
const staleAfterMs = 3_600_000;

export interface PreparedBatch {
  readonly moves: Readonly<Record<string, Move>>;
  readonly written: WrittenBatch;
  /** The state loaded before the first file of `written` was written. */
  readonly base: LakeState;
  /** When its first block was read, by `elapsedMs`. */
  readonly openedAtMs: number;
  /**
   * False once others may have taken one of its partitions. Then the batch is tried once, because the append
   * compares positions, but not retried.
   */
  readonly isStanding: () => boolean;
}

/**
 * `superseded`: another consumer moved one of the partitions. `expired`: the batch could not be committed for
 * an hour. `fenced`: vacuum may have deleted its files.
 */
export type CommitOutcome =
  | { readonly outcome: "committed"; readonly lake: LakeState }
  | { readonly outcome: "superseded" | "expired" | "fenced" };

/**
 * Commits a batch by one entry of the commit log. Retries with back-off if the store fails, because its files
 * are written, and a repeated append of the same entry detects that an earlier one succeeded.
 */
export async function commitBatch(context: ConsumerContext, batch: PreparedBatch): Promise<CommitOutcome> {
  const commitId = randomUUID();
  let { base } = batch;
  let hasFailed = false;
  for (let failures = 0; ; ) {
    if (context.elapsedMs() - batch.openedAtMs > staleAfterMs) return { outcome: "expired" };
    try {
      const entry = entryAfter(base, { batch, commitId, nowMs: context.now() });
      const { outcome } = await context.commitLog.append(entry);
      if (hasFailed) context.logger.info({ event: "consumer.commit.recovered" }, "commits succeed again");
      hasFailed = false;
      if (outcome === "committed") return { outcome, lake: await context.commitLog.load() };
      base = await context.commitLog.load();
      const found = await context.commitLog.entry(entry.number);
      if (found?.commitId === commitId) return { outcome: "committed", lake: base };
      if (isSuperseded(batch.moves, base)) return { outcome: "superseded" };
      if (outcome === "fenced") return fenced(context, batch, base);
      failures = 0;
    } catch (error) {
      if (!isRetryable(error) || context.backOff.isStopping || !batch.isStanding()) throw error;
      context.history.failed(error);
      context.metrics.failed("commit");
      hasFailed = true;
      const fields = { code: error.code, failures, err: error };
      context.logger.warn({ event: "consumer.commit.failed", ...fields }, "the commit failed and is retried");
      await context.backOff.afterFailure(failures++);
    }
  }
}

function entryAfter(
  lake: LakeState,
  options: { batch: PreparedBatch; commitId: string; nowMs: number },
): CommitEntry {
  const { batch, commitId, nowMs } = options;
  const { landing } = batch.written;
  const tables = Object.entries(batch.written.tables).map(([key, table]): [string, TableAdds] => {
    const version = Math.max(table.version, lake.tables.get(key)?.version ?? 0);
    return [key, { ...table, version }];
  });
  return {
    format: lakeFormat,
    number: lake.number + 1,
    commitId,
    committedAtMs: nowMs,
    moves: batch.moves,
    tables: Object.fromEntries(tables),
    ...(landing && { landing }),
    ...((landing || tables.length > 0) && { filesSince: batch.base.number }),
  };
}

function fenced(
  context: ConsumerContext,
  { base: { number: filesSince } }: PreparedBatch,
  { fence }: LakeState,
): { outcome: "fenced" } {
  context.metrics.fenced();
  const fields = { event: "consumer.batch.fenced", filesSince, fence };
  context.logger.info(fields, "vacuum ran between the batch's files and its commit: the batch is read again");
  return { outcome: "fenced" };
}

/** Whether another consumer has moved one of these partitions. */
export function isSuperseded(moves: PreparedBatch["moves"], lake: LakeState): boolean {
  return Object.entries(moves).some(([key, move]) => move.from !== (moveOf(lake, key)?.to ?? startPosition));
}
