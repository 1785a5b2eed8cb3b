import type { CommittedMoves } from "../committed-moves.ts";
import { isDecimalPosition } from "../decimal-position.ts";
import { type CheckedStream, checkAgainstLake } from "../lake-check.ts";

const check = {
  place: "the stream's folder",
  // A lake may also hold positions of other kinds of streams from before.
  isRival: isDecimalPosition,
  mend: "Restore stream and lake from copies of the same time, or give up the missing blocks and start a new stream id with `tidegate stream new`",
} as const;

/**
 * `checkAgainstLake` for the embedded stream.
 * @param stream null if the folder holds no stream.
 * @throws BridgeError STREAM_GAP
 */
export async function checkStreamAgainstLake(
  stream: CheckedStream | null,
  lake: CommittedMoves,
): Promise<void> {
  await checkAgainstLake(stream, lake, check);
}
