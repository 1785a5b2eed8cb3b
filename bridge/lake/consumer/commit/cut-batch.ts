import type { Move } from "../../commit-log/commit-log.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import { filingFailure } from "../guard/filing-guard.ts";
import type { PoisonGuard } from "../guard/poison-guard.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";
import { type CommitOutcome, commitBatch, isSuperseded } from "./commit-batch.ts";
import { trimCommitted } from "./trim-committed.ts";

/**
 * Commits the open batch: files → commit → publish → window → trim. If a step after the commit fails,
 * recovery repeats it from the commit log, so nothing is undone here.
 */
export async function cutBatch(
  context: ConsumerContext,
  cursors: readonly PartitionCursor[],
  open: {
    readonly openedAtMs: number;
    readonly guard: PoisonGuard;
    readonly isStanding: () => boolean;
  },
): Promise<CommitOutcome> {
  const moved = cursors.filter((cursor) => cursor.hasMoved);
  const moves = Object.fromEntries(moved.map((cursor) => [cursor.key, cursor.move()]));
  const { rows, bytes } = context.batch;
  const base = await context.commitLog.load();
  if (isSuperseded(moves, base)) return { outcome: "superseded" };
  await open.guard.beforeWriting(cursors);
  const written = await context.batch.write().catch((error: unknown) => {
    throw filingFailure(error);
  });
  const { openedAtMs, isStanding } = open;
  const committed = await commitBatch(context, { moves, written, base, openedAtMs, isStanding });
  if (committed.outcome !== "committed") return committed;
  open.guard.committed();
  context.filing.committed();
  context.metrics.committed({ rows, ageMs: context.elapsedMs() - open.openedAtMs });
  const { number } = committed.lake;
  context.logger.debug({ event: "consumer.batch.committed", number, rows, bytes }, "committed a batch");
  await context.publisher.publishPending();
  for (const cursor of moved)
    if (!(await applyIds(context, cursor, moves[cursor.key] as Move))) return { outcome: "superseded" };
  for (const cursor of moved) await trimCommitted(context, cursor);
  return committed;
}

async function applyIds(context: ConsumerContext, cursor: PartitionCursor, move: Move): Promise<boolean> {
  const { from, to, streamTimeMs } = move;
  const step = { from, to, streamTimeMs };
  if (!(await context.window.apply(cursor.partition, step, cursor.ids.entries()))) return false;
  context.metrics.counted(cursor.partition, cursor.committedCounters, move.counters);
  cursor.settle(move);
  return true;
}
