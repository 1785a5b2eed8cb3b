import type { LakeState } from "../../storage/commit-log.ts";
import { type CheckedStream, checkAgainstLake } from "../lake-check.ts";

const check = {
  place: "the stream in Redis",
  // A lake of another kind of stream is continued in Redis only where that was asked for: its unread records would be forgotten.
  isRival: () => true,
  mend: "Restore Redis and lake from the same moment; take an embedded stream along with `tidegate migrate`; or give up what is missing and start a new stream id with `tidegate stream new`",
} as const;

/**
 * `checkAgainstLake` for the stream in Redis.
 * @param stream null where this Redis and prefix hold none.
 * @throws BridgeError STREAM_GAP
 */
export async function checkRedisStreamAgainstLake(
  stream: CheckedStream | null,
  lake: LakeState,
): Promise<void> {
  await checkAgainstLake(stream, lake, check);
}
