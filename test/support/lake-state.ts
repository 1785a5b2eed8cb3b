import { type LakeState, type Move, noCounters } from "../../bridge/lake/commit-log/commit-log.ts";
import { emptyLakeState } from "../../bridge/lake/commit-log/lake-state.ts";
import type { ProducerMark } from "../../bridge/tail/producer-mark.ts";

/** A lake that has committed partitions, named `STREAM/PARTITION`, up to these positions. */
export function lakeWith(
  positions: Readonly<Record<string, string>>,
  producers: Readonly<Record<string, ProducerMark>> = {},
): LakeState {
  const moves = Object.entries(positions).map(([key, to]): [string, Move] => [
    key,
    { from: "", to, streamTimeMs: 0, producers, counters: noCounters },
  ]);
  return { ...emptyLakeState, number: moves.length, moves: new Map(moves) };
}
