import type { LakeState, Move } from "../storage/commit-log.ts";
import type { Position } from "../streams/stream-log.ts";
import type { WindowEntries } from "../window/dedup-window.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { ExactIdColumns } from "./exact-id-columns.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { seedWindows } from "./seed-windows.ts";
import { joinedEntries, spanStart, windowEntriesOf } from "./window-entries.ts";

/** A window further behind than this is seeded anew: that reads the files once, re-applying reads them once per commit. */
const REAPPLIED_COMMITS_MAX = 8;
/** How far back in the log the window's position is looked for. */
const SEARCHED_COMMITS_MAX = 256;

type CommittedMove = Move & { readonly number: number };

/**
 * Brings the windows of partitions to their committed positions: re-applies the commits that they lack, or clears and seeds them from
 * the lake's files. False: somebody else worked on one of them meanwhile, or the lake moved on.
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

/** The moves from `applied` to the committed position, in order; null where they are too many or not to be found. */
async function commitsAfter(
  context: ConsumerContext,
  cursor: PartitionCursor,
  lake: LakeState,
  applied: Position,
): Promise<CommittedMove[] | null> {
  const moves: CommittedMove[] = [];
  const lowest = Math.max(1, lake.number - SEARCHED_COMMITS_MAX);
  for (let number = lake.number; number >= lowest; number--) {
    const entry = await context.commitLog.entry(number);
    if (entry === null) return null;
    const move = entry.moves[cursor.key];
    if (!move) continue;
    // An accepted gap may leave the position where it was; there is nothing to apply.
    if (move.from !== move.to) moves.unshift({ ...move, number });
    if (moves.length > REAPPLIED_COMMITS_MAX) return null;
    if (move.from === applied && move.from !== move.to) return moves;
  }
  return null;
}

/**
 * Ingest time of the oldest row of a commit that its re-applying needs: of exact topics that is the oldest row of all, and a batch may
 * hold more of stream time than the window lasts. null where the log has forgotten the commit before.
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
