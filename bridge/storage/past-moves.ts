import { END_POSITION } from "../streams/stream-log.ts";
import { type Move, partitionOfKey } from "./commit-log.ts";

/** Elapsed time. Longer than any dedupe window (7 d at most), and than producers are remembered (24 h). */
export const PAST_AFTER_MS = 8 * 86_400_000;

/**
 * Partitions end and streams are replaced for as long as a lake lives, and a state names them all: its books count what they brought, and
 * a partition that is listed and not named would be read again. What is known of producers is by far the most of a move. It is given up
 * once the partition ended so long ago that no block can refer to it. The clock stays, with its boots: a partition that takes its place,
 * however late, goes on from there, and its rows must not expire before those boots have caught up.
 * @param moves By partition key; changed in place.
 */
export function forgetPastProducers(moves: Map<string, Move>): void {
  let newestMs = 0;
  let newest = { commit: -1, streamId: "" };
  for (const [key, { streamTimeMs, commit = 0 }] of moves) {
    newestMs = Math.max(newestMs, streamTimeMs);
    if (commit > newest.commit) newest = { commit, streamId: partitionOfKey(key).streamId };
  }
  for (const [key, move] of moves) {
    if (move.streamTimeMs > newestMs - PAST_AFTER_MS) continue;
    const isOver = move.to === END_POSITION || partitionOfKey(key).streamId !== newest.streamId;
    if (isOver) moves.set(key, { ...move, producers: {} });
  }
}
