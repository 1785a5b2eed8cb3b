import type { CommittedMoves } from "../committed-moves.ts";
import { type CheckedStream, checkAgainstLake } from "../lake-check.ts";

const check = {
  place: "the stream in Redis",
  // Positions of any kind of stream count. Only an operator may let a lake continue in Redis, because it
  // gives up unfiled records of the old stream.
  isRival: () => true,
  mend: "Restore Redis and lake from copies of the same time; move an embedded stream with `tidegate migrate`; or give up the missing blocks and start a new stream id with `tidegate stream new`",
} as const;

/**
 * `checkAgainstLake` for the stream in Redis.
 * @param stream null if this Redis and prefix hold no stream.
 * @throws BridgeError STREAM_GAP
 */
export async function checkRedisStreamAgainstLake(
  stream: CheckedStream | null,
  lake: CommittedMoves,
): Promise<void> {
  await checkAgainstLake(stream, lake, check);
}
