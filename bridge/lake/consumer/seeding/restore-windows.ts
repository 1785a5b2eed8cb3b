import type { Position } from "../../../streams/stream-log.ts";
import type { LakeState, Move } from "../../commit-log/commit-log.ts";
import type { WindowEntries } from "../../window/dedup-window.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import { ExactIdColumns } from "../ids/exact-id-columns.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";
import { seedWindows } from "./seed-windows.ts";
import { joinedEntries, spanStart, windowEntriesOf } from "./window-entries.ts";

/**
 * A window that lacks more commits is seeded: seeding reads the files once, re-applying reads them once per
 * commit.
 */
const reappliedCommitsMax = 8;
/** How far back in the log the window's position is searched. */
const searchedCommitsMax = 256;

type CommittedMove = Move & { readonly number: number };

/**
 * Brings the windows of partitions to their committed positions: re-applies the missing commits, or clears
 * the windows and seeds them from the lake's files. Resolves with false if another process changed a window
 * meanwhile, or if the lake moved on.
 */
export async function restoreWindows(
  context: ConsumerContext,
  cursors: readonly PartitionCursor[],
  lake: LakeState,
): Promise<boolean> {
  const unseeded: PartitionCursor[] = [];
  for (const cursor of cursors) {
    const applied = await context.window.applied(cursor.partition, cursor.committed);
    if (applied === cursor.committed) continue;
    const missed = applied === null ? null : await commitsAfter(context, cursor, lake, applied);
    const startMs = missed?.[0] ? await startOf(context, cursor, missed[0]) : null;
    if (missed === null || startMs === null) unseeded.push(cursor);
    else if (!(await reapplyAll(context, cursor, { missed, startMs }))) return false;
  }
  return seedWindows(context, unseeded, lake);
}

async function reapplyAll(
  context: ConsumerContext,
  cursor: PartitionCursor,
  { missed, startMs }: { missed: readonly CommittedMove[]; startMs: number },
): Promise<boolean> {
  context.metrics.windowRestored("reapplied");
  const { partition, committed } = cursor;
  const fields = { partition, applied: missed[0]?.from, committed, commits: missed.length };
  context.logger.info({ event: "consumer.window.reapply", ...fields }, "the window lacks committed ids");
  for (const [index, move] of missed.entries())
    if (!(await reapply(context, cursor, { move, sinceMs: missed[index - 1]?.streamTimeMs ?? startMs })))
      return false;
  return true;
}

/**
 * The moves from `applied` to the committed position, in order; null if there are too many, or if they are
 * not found.
 */
async function commitsAfter(
  context: ConsumerContext,
  cursor: PartitionCursor,
  lake: LakeState,
  applied: Position,
): Promise<CommittedMove[] | null> {
  const moves: CommittedMove[] = [];
  const lowest = Math.max(1, lake.number - searchedCommitsMax);
  for (let number = lake.number; number >= lowest; number--) {
    const entry = await context.commitLog.entry(number);
    if (entry === null) return null;
    const move = entry.moves[cursor.key];
    if (!move) continue;
    // An accepted gap may leave the position unchanged; then there is nothing to apply.
    if (move.from !== move.to) moves.unshift({ ...move, number });
    if (moves.length > reappliedCommitsMax) return null;
    if (move.from === applied && move.from !== move.to) return moves;
  }
  return null;
}

/**
 * Stream time of the oldest row that re-applying a commit needs. Exact topics need the oldest row of the
 * batch, because a batch may span more stream time than the window. Null if the log has given up the commit
 * before.
 */
async function startOf(
  context: ConsumerContext,
  cursor: PartitionCursor,
  { streamTimeMs, previousCommit }: CommittedMove,
): Promise<number | null> {
  if (context.topics.exactTopicIds().size === 0) return spanStart(context, streamTimeMs);
  if (!previousCommit) return 0;
  const before = await context.commitLog.entry(previousCommit);
  return before?.moves[cursor.key]?.streamTimeMs ?? null;
}

async function reapply(
  context: ConsumerContext,
  cursor: PartitionCursor,
  step: { move: CommittedMove; sinceMs: number },
): Promise<boolean> {
  const { window, stream } = context;
  const { from, to, streamTimeMs, number } = step.move;
  const isOfStep = (position: Position) =>
    stream.comparePositions(from, position) < 0 && stream.comparePositions(position, to) <= 0;
  const chunks: WindowEntries[] = [];
  const { sinceMs } = step;
  const part = { streamId: stream.streamId, partition: cursor.partition, sinceMs };
  const exact = new ExactIdColumns();
  for await (const rows of context.seeds.rows({ parts: [part], upToCommit: number })) {
    const isWanted = (row: number) => isOfStep(rows.positions[row] as Position);
    chunks.push(windowEntriesOf(context, rows, { streamTimeMs, isWanted, exact }));
  }
  return window.apply(cursor.partition, { from, to, streamTimeMs }, joinedEntries(chunks, exact));
}
