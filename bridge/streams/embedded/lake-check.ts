import { BridgeError } from "../../errors.ts";
import { type LakeState, partitionKey } from "../../storage/commit-log.ts";
import { isDecimalPosition } from "../decimal-position.ts";
import { START_POSITION, type StreamLog } from "../stream-log.ts";
import type { StreamRecord } from "./stream-records.ts";

export interface CheckedStream
  extends Pick<StreamLog, "streamId" | "partitionCount" | "partitionState" | "comparePositions"> {
  readonly record: Pick<StreamRecord, "startedAnew">;
}

const mend =
  "Restore stream and lake from the same moment, or give up what is missing and start a new stream id with `tidegate stream new`";

/**
 * Compares the embedded stream with what the lake has committed of it; to be called before the first publish is accepted.
 * @param stream null where the stream's folder holds none.
 * @throws BridgeError STREAM_GAP where one of the two was lost, replaced or restored from an older copy: going on would lose
 * acknowledged messages silently, or file new ones at positions the lake holds for filed already.
 */
export async function checkStreamAgainstLake(stream: CheckedStream | null, lake: LakeState): Promise<void> {
  const known = embeddedStreamsOf(lake);
  if (!stream) {
    if (known.size === 0) return;
    throw gap(`the stream's folder is gone, but the lake holds positions of stream ${[...known].join(", ")}`);
  }
  if (!known.has(stream.streamId) && known.size > 0 && !stream.record.startedAnew) {
    const others = [...known].join(", ");
    throw gap(`the lake holds positions of stream ${others}, but the folder holds stream ${stream.streamId}`);
  }
  for (let partition = 0; partition < stream.partitionCount; partition++)
    await checkPartition(stream, partition, lake);
}

async function checkPartition(stream: CheckedStream, partition: number, lake: LakeState): Promise<void> {
  const committed = lake.moves.get(partitionKey(stream.streamId, partition))?.to ?? START_POSITION;
  const { highest, trimmedUpTo } = await stream.partitionState(partition);
  if (stream.comparePositions(highest, committed) < 0)
    throw gap(
      `the lake has committed partition ${partition} up to ${committed}, but the stream ends at "${highest}"`,
    );
  if (stream.comparePositions(trimmedUpTo, committed) > 0)
    throw gap(
      `the stream was trimmed up to ${trimmedUpTo} in partition ${partition}, but the lake has it only up to "${committed}"`,
    );
}

/** Ids of the streams that the lake holds embedded positions of. */
function embeddedStreamsOf(lake: LakeState): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const [key, move] of lake.moves) {
    if (isDecimalPosition(move.to)) ids.add(key.slice(0, key.lastIndexOf("/")));
  }
  return ids;
}

function gap(text: string): BridgeError {
  return new BridgeError("STREAM_GAP", `${text}. ${mend}`, { retryable: false });
}
