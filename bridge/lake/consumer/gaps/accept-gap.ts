import { BridgeError } from "../../../errors.ts";
import type { Position } from "../../../streams/stream-log.ts";
import { livingMarks } from "../../../tail/check-block.ts";
import type { GapSurvey } from "../../../tail/partition-halt.ts";
import type { LakeState, Move } from "../../commit-log/commit-log.ts";
import { type CommitOutcome, commitBatch } from "../commit/commit-batch.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";
import { surveyGap } from "./survey-gap.ts";

/** Result of an accepted gap. */
export interface AcceptedGap {
  readonly partition: number;
  readonly from: Position;
  readonly to: Position;
  /** Acknowledged messages that are given up, at least; the partition's books count them now. */
  readonly unaccounted: number;
}

export type AcceptOutcome =
  | { readonly outcome: "accepted"; readonly lake: LakeState; readonly accepted: AcceptedGap }
  | Exclude<CommitOutcome, { outcome: "committed" }>;

/**
 * Commits that a halted partition continues after its gap or damaged block. The open batch must be committed
 * before. Rejects with STREAM_NO_GAP if the partition has nothing to accept.
 */
export async function acceptGap(context: ConsumerContext, cursor: PartitionCursor): Promise<AcceptOutcome> {
  const found = cursor.halt?.survey;
  if (!found)
    throw new BridgeError(
      "STREAM_NO_GAP",
      `partition ${cursor.partition} has no gap to accept; see \`tidegate status\``,
      {
        retryable: false,
      },
    );
  const survey = await surveyGap(context.stream, cursor, found.resumeAfter);
  const move = moveBehind(cursor, survey);
  const moves = { [cursor.key]: move };
  const openedAtMs = context.elapsedMs();
  const base = await context.commitLog.load();
  const prepared = { moves, written: { tables: {} }, base, openedAtMs, isStanding: () => true };
  const committed = await commitBatch(context, prepared);
  if (committed.outcome !== "committed") return committed;
  const { from, to, streamTimeMs } = move;
  const isMoved = from !== to;
  const none = cursor.ids.entries();
  if (isMoved && !(await context.window.apply(cursor.partition, { from, to, streamTimeMs }, none)))
    return { outcome: "superseded" };
  cursor.rewind(move);
  const accepted = { partition: cursor.partition, from, to, unaccounted: survey.unaccounted };
  context.logger.warn({ event: "consumer.gap.accepted", ...accepted }, "an operator accepted a loss");
  return { outcome: "accepted", lake: committed.lake, accepted };
}

function moveBehind(cursor: PartitionCursor, survey: GapSurvey): Move {
  const { committed, streamTimeMs, clock, shifts, counters } = cursor;
  const marks = new Map([...cursor.producers, ...survey.marks]);
  return {
    from: committed,
    to: survey.resumeAfter,
    streamTimeMs,
    clock,
    ...(shifts && { shifts }),
    producers: livingMarks(marks, streamTimeMs),
    counters: { ...counters, unaccounted: counters.unaccounted + survey.unaccounted },
  };
}

/** Whether the error answers a request, and the consumer itself is sound. */
export function isAnswer(error: unknown): boolean {
  return (
    error instanceof BridgeError && (error.code === "STREAM_NO_GAP" || error.code === "CONSUMER_NOT_OWNER")
  );
}
