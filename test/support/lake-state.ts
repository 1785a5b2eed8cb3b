import { type LakeState, type Move, noCounters, type ProducerMark } from "../../bridge/storage/commit-log.ts";
import { emptyLakeState } from "../../bridge/storage/lake-state.ts";

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
