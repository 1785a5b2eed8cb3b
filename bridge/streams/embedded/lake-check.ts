import type { LakeState } from "../../storage/commit-log.ts";
import { isDecimalPosition } from "../decimal-position.ts";
import { type CheckedStream, checkAgainstLake } from "../lake-check.ts";

const check = {
  place: "the stream's folder",
  // Positions of other kinds of streams may stay in the lake while an embedded one goes on with it.
  isRival: isDecimalPosition,
  mend: "Restore stream and lake from the same moment, or give up what is missing and start a new stream id with `tidegate stream new`",
} as const;

/**
 * `checkAgainstLake` for the embedded stream.
 * @param stream null where the stream's folder holds none.
 * @throws BridgeError STREAM_GAP
 */
export async function checkStreamAgainstLake(stream: CheckedStream | null, lake: LakeState): Promise<void> {
  await checkAgainstLake(stream, lake, check);
}
